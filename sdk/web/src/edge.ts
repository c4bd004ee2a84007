import type { Environment } from "./environment.js";
import {
  AuthError,
  endsSession,
  InvalidCredentialsError,
  InvalidRequestError,
  LoggedOutError,
  ProtocolError,
  RateLimitedError,
  UnavailableError,
  type ErrorFacts,
  type FieldViolation,
} from "./errors.js";
import { isObject, stringOrUndefined } from "./token.js";
import { withDeadline } from "./wait.js";

/** Where the double-submit token is found and goes to, when the edge asks for one. */
export interface CsrfNames {
  /** The cookie that the edge sets. */
  readonly cookie: string;
  /** The header in which it is sent back. */
  readonly header: string;
}

/** The HTTP edge, spoken to in proto3 JSON. */
export class Edge {
  readonly #environment: Environment;
  readonly #baseUrl: string;
  readonly #language: string | undefined;
  readonly #csrf: CsrfNames | undefined;

  constructor(
    environment: Environment,
    baseUrl: string,
    language: string | undefined,
    csrf: CsrfNames | undefined,
  ) {
    this.#environment = environment;
    this.#baseUrl = baseUrl.replace(/\/+$/, "");
    this.#language = language;
    this.#csrf = csrf;
  }

  /** The address of one of its methods. */
  url(path: string): string {
    return this.#baseUrl + path;
  }

  /** Calls a method and answers its JSON. Rejects with an `AuthError`, or with the reason of `signal`. */
  post(path: string, body: object, deadline: number, signal: AbortSignal, keepalive = false): Promise<unknown> {
    return withDeadline(this.#environment, deadline, signal, async (attempt) => {
      const request = {
        method: "POST",
        credentials: "include",
        cache: "no-store",
        redirect: "error",
        keepalive,
        headers: this.#headers(),
        body: JSON.stringify(body),
        signal: attempt,
      } satisfies RequestInit;
      try {
        const response = await this.#environment.fetch(this.url(path), request);
        return await readAnswer(response);
      } catch (error) {
        attempt.throwIfAborted();
        if (error instanceof AuthError) throw error;
        throw new UnavailableError("The server could not be reached.", { cause: error });
      }
    });
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = {
      accept: "application/json, application/problem+json",
      "content-type": "application/json",
    };
    if (this.#language !== undefined) headers["accept-language"] = this.#language;
    if (this.#csrf !== undefined) {
      const value = readCookie(this.#csrf.cookie);
      if (value !== undefined) headers[this.#csrf.header] = value;
    }
    return headers;
  }
}

function readCookie(name: string): string | undefined {
  const pairs = globalThis.document?.cookie.split("; ") ?? [];
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1);
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
function errorOf(response: Response, problem: Record<string, unknown>): AuthError {
  const { status } = response;
  const reason = stringOrUndefined(problem["reason"]);
  const facts: ErrorFacts = {
    status,
    reason,
    code: typeof problem["code"] === "number" ? problem["code"] : undefined,
    retryAfter: retryAfterOf(response),
    violations: violationsOf(problem),
  };
  const message =
    stringOrUndefined(problem["detail"]) ?? stringOrUndefined(problem["title"]) ?? `HTTP status ${status}`;
  if (status === 401 && endsSession(reason)) return new LoggedOutError(reason, facts);
  if (reason === "INVALID_CREDENTIALS") return new InvalidCredentialsError(message, facts);
  if (status === 429) return new RateLimitedError(message, facts);
  if (status >= 500 || status === 408) return new UnavailableError(message, facts);
  if (reason === "INVALID_REQUEST") return new InvalidRequestError(message, facts);
  return reason === undefined ? new ProtocolError(message, facts) : new AuthError(message, facts);
}

function violationsOf(problem: Record<string, unknown>): FieldViolation[] {
  const list = problem["violations"] ?? problem["fieldViolations"] ?? problem["errors"];
  if (!Array.isArray(list)) return [];
  return list.filter(isObject).map((entry) => ({
    field: stringOrUndefined(entry["field"]) ?? "",
    description: stringOrUndefined(entry["description"]) ?? stringOrUndefined(entry["detail"]) ?? "",
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
