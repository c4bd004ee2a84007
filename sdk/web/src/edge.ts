import type { Environment } from "./environment.js";
import {
  AuthError,
  endCauseOf,
  endsSession,
  InvalidCredentialsError,
  InvalidRequestError,
  LoggedOutError,
  PasswordRejectedError,
  ProtocolError,
  RateLimitedError,
  UnavailableError,
  type ErrorFacts,
  type FieldViolation,
} from "./errors.js";
import { isObject, stringOrUndefined } from "./token.js";
import { withDeadline } from "./wait.js";

/** A call of one method. */
export interface Call {
  /** `POST` when missing; no other has a body. */
  readonly method?: "GET" | "DELETE";
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** Milliseconds. */
  readonly deadline: number;
  readonly signal: AbortSignal;
  /** Lets the call outlive the page. */
  readonly keepalive?: boolean;
}

/** Carries the double-submit token, where the edge asks for one, in both directions. */
const CSRF_HEADER = "x-csrf-token";

/** The HTTP edge, spoken to in proto3 JSON. */
export class Edge {
  readonly #environment: Environment;
  readonly #baseUrl: string;
  readonly #language: string | undefined;
  #csrfToken: string | undefined;

  constructor(environment: Environment, baseUrl: string, language: string | undefined) {
    this.#environment = environment;
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#language = language;
  }

  /** The address of one of its methods. */
  url(path: string): string {
    return this.#baseUrl + path;
  }

  /** Calls a method and answers its JSON. Rejects with an `AuthError`, or with the reason of `signal`. */
  call(path: string, call: Call): Promise<unknown> {
    return withDeadline(this.#environment, call.deadline, call.signal, async (signal) => {
      try {
        return await this.#send(path, call, signal);
      } catch (error) {
        if (!(error instanceof AuthError) || error.reason !== "CSRF_TOKEN_MISMATCH") throw error;
        await this.#fetchCsrfToken(signal);
        return this.#send(path, call, signal);
      }
    });
  }

  #send(path: string, call: Call, signal: AbortSignal): Promise<unknown> {
    const { method = "POST", keepalive = false } = call;
    const headers: Record<string, string> = { ...call.headers };
    if (this.#csrfToken !== undefined) headers[CSRF_HEADER] = this.#csrfToken;
    if (method !== "POST") return this.#exchange(path, { method, headers, keepalive, signal });
    headers["content-type"] = "application/json";
    return this.#exchange(path, { method, headers, body: JSON.stringify(call.body ?? {}), keepalive, signal });
  }

  /** The token is known from the last answer, but not after a page load, nor when another tab had the answer. */
  async #fetchCsrfToken(signal: AbortSignal): Promise<void> {
    const answer = await this.#exchange("/v1/auth/csrf", { headers: {}, signal });
    this.#csrfToken = isObject(answer) ? stringOrUndefined(answer["csrfToken"]) : undefined;
  }

  async #exchange(
    path: string,
    init: RequestInit & { headers: Record<string, string>; signal: AbortSignal },
  ): Promise<unknown> {
    const headers = { accept: "application/json, application/problem+json", ...init.headers };
    const language = this.#language === undefined ? {} : { "accept-language": this.#language };
    try {
      const response = await this.#environment.fetch(this.url(path), {
        ...init,
        headers: { ...headers, ...language },
        credentials: "include",
        cache: "no-store",
        redirect: "error",
      });
      this.#csrfToken = response.headers.get(CSRF_HEADER) ?? this.#csrfToken;
      return await readAnswer(response);
    } catch (error) {
      init.signal.throwIfAborted();
      if (error instanceof AuthError) throw error;
      throw new UnavailableError("The server could not be reached.", { cause: error });
    }
  }
}

/** The JSON of a good answer; the error of any other. */
export async function readAnswer(response: Response): Promise<unknown> {
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (!response.ok) throw errorOf(response, isObject(body) ? body : {});
  if (body === undefined) throw new ProtocolError("The answer is not JSON.", { status: response.status });
  return body;
}

/**
 * The error that an answer stands for. Only a reason from the catalogue ends a session: a bare 401 may come from
 * anything that stands between, and costs nobody their login.
 */
function errorOf(response: Response, body: Record<string, unknown>): AuthError {
  const { status } = response;
  const problem = Array.isArray(body["details"]) ? problemOf(body, body["details"]) : body;
  const reason = stringOrUndefined(problem["reason"]);
  const facts: ErrorFacts = {
    status,
    reason,
    code: typeof problem["code"] === "number" ? problem["code"] : undefined,
    retryAfter: retryAfterOf(response),
    violations: violationsOf(problem),
    endCause: endCauseOf(problem["cause"]),
  };
  const message =
    stringOrUndefined(problem["detail"]) ?? stringOrUndefined(problem["title"]) ?? `HTTP status ${status}`;
  if (status === 401 && endsSession(reason)) return new LoggedOutError(reason, facts);
  if (reason === "INVALID_CREDENTIALS") return new InvalidCredentialsError(message, facts);
  if (status === 429) return new RateLimitedError(message, facts);
  if (status >= 500 || status === 408) return new UnavailableError(message, facts);
  if (reason === "PASSWORD_REJECTED") return new PasswordRejectedError(message, facts);
  if (reason === "INVALID_REQUEST") return new InvalidRequestError(message, facts);
  return reason === undefined ? new ProtocolError(message, facts) : new AuthError(message, facts);
}

/** What a transcoding gateway tells as a `google.rpc.Status`, as the edge tells it. */
function problemOf(status: Record<string, unknown>, details: readonly unknown[]): Record<string, unknown> {
  const detail = (name: string): Record<string, unknown> =>
    details.filter(isObject).find((it) => it["@type"] === `type.googleapis.com/google.rpc.${name}`) ?? {};
  const { reason, metadata } = detail("ErrorInfo");
  return {
    reason,
    cause: isObject(metadata) ? metadata["cause"] : undefined,
    title: status["message"],
    detail: detail("LocalizedMessage")["message"],
    violations: detail("BadRequest")["fieldViolations"],
  };
}

function violationsOf(problem: Record<string, unknown>): FieldViolation[] {
  const list = problem["violations"];
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map((entry) => ({
    field: stringOrUndefined(entry["field"]) ?? "",
    description: stringOrUndefined(entry["description"]) ?? "",
  }));
}

/**
 * `Retry-After` (RFC 9110 section 10.2.3) in milliseconds. A date is measured against the answer's own `Date`, not
 * against this machine's clock.
 */
export function retryAfterOf(response: Response): number | undefined {
  const value = response.headers.get("retry-after");
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1_000;
  const wait = Date.parse(value) - Date.parse(response.headers.get("date") ?? "");
  return Number.isFinite(wait) ? Math.max(0, wait) : undefined;
}
