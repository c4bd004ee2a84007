import type { AuthClient } from "./client.js";

/** The part of an axios request configuration that is used. */
export interface AxiosRequest {
  url?: string | undefined;
  data?: unknown;
  headers?: unknown;
  /** Set by the adapter on a replay: the token that was refused. */
  countersignRefused?: string;
}

/** The part of an axios response that is used. */
export interface AxiosResponse {
  status: number;
  config: AxiosRequest;
}

interface Interceptors {
  use(...handlers: never[]): number;
  eject(id: number): void;
}

/** The part of an axios instance that is used; any `axios.create()` has it. */
export interface AxiosInstance {
  interceptors: { request: Interceptors; response: Interceptors };
  getUri(config?: never): string;
  request(config: never): Promise<unknown>;
}

interface Headers {
  get(name: string): unknown;
  set(name: string, value: string): unknown;
  has(name: string): boolean;
}

/**
 * Lets an axios instance send the client's access token, refresh on a 401 and replay once. Requests to other origins,
 * and those that have an `Authorization` of their own, are left alone. Answers how to detach.
 */
export function attachToAxios(instance: AxiosInstance, client: AuthClient): () => void {
  const { request, response } = instance.interceptors;
  const attach = async (config: AxiosRequest): Promise<AxiosRequest> => {
    const headers = config.headers as Headers;
    const refused = config.countersignRefused;
    if (refused === undefined && headers.has("Authorization")) return config;
    if (!client.attachesTo(instance.getUri(config as never))) return config;
    const token = await client.accessToken();
    headers.set("Authorization", `Bearer ${token}`);
    return config;
  };
  /** The replay's answer; undefined when there is nothing to replay. */
  const replay = async (answer: AxiosResponse | undefined): Promise<unknown> => {
    const config = answer?.config;
    if (answer?.status !== 401 || config === undefined) return undefined;
    const refused = bearerOf(config);
    if (refused === undefined || !client.attachesTo(instance.getUri(config as never))) return undefined;
    const replayed = config.countersignRefused !== undefined;
    const next = await client.accessToken({ refused, replayed });
    if (replayed || next === refused || isStream(config.data)) return undefined;
    return instance.request({ ...config, countersignRefused: refused } as never);
  };
  const fulfilled = async (answer: AxiosResponse): Promise<unknown> => (await replay(answer)) ?? answer;
  const rejected = async (error: { response?: AxiosResponse }): Promise<unknown> => {
    const answer = await replay(error?.response);
    if (answer === undefined) throw error;
    return answer;
  };
  const requestId = request.use(attach as never);
  const responseId = response.use(fulfilled as never, rejected as never);
  return () => {
    request.eject(requestId);
    response.eject(responseId);
  };
}

function bearerOf(config: AxiosRequest): string | undefined {
  const value = (config.headers as Headers).get("Authorization");
  return typeof value === "string" && value.startsWith("Bearer ") ? value.slice(7) : undefined;
}

function isStream(data: unknown): boolean {
  if (typeof data !== "object" || data === null) return false;
  return "pipe" in data || (typeof ReadableStream !== "undefined" && data instanceof ReadableStream);
}
