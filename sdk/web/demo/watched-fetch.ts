import { shorten, showBody } from "./secrets.js";
import type { Received, Sent } from "./wire-row.js";

/** How the watching is steered. */
export interface Watch {
  readonly send: (sent: Sent) => (received: Received) => void;
  /** The language in which the server is asked to answer. */
  readonly language: () => string;
  readonly hiddenCookie: () => string;
  /** Whether the page does not know yet if there is a session. */
  readonly isLooking: () => boolean;
  /** So many of the next requests with a token get theirs damaged. */
  spoil: number;
}

/** The browser's `fetch`, with everything shown that goes in and out. */
export function watchedFetch(watch: Watch): (input: RequestInfo | URL, init?: RequestInit) => Promise<Response> {
  return async (input, init) => {
    const request = new Request(input, init);
    request.headers.set("accept-language", watch.language());
    const check = isCheck(request);
    const bearer = request.headers.get("authorization");
    if (bearer !== null && !check && watch.spoil > 0) {
      watch.spoil -= 1;
      request.headers.set("authorization", `${bearer.slice(0, -12)}${"A".repeat(12)}`);
    }
    const { pathname: path } = new URL(request.url);
    const details = await describeRequest(request.clone(), watch.hiddenCookie());
    const looking = watch.isLooking();
    const receive = watch.send({
      method: request.method,
      path,
      bearer: request.headers.get("authorization") ?? "",
      check,
      details,
    });
    const started = performance.now();
    const show = (status: number, reason: string, text: string): void => {
      const noSession = looking && reason === "TOKEN_MISSING";
      receive({ status, reason, noSession, milliseconds: performance.now() - started, details: text });
    };
    try {
      const response = await fetch(request);
      const text = await response.clone().text();
      show(response.status, reasonIn(text), describeResponse(response, text));
      return response;
    } catch (error) {
      show(0, "", String(error));
      throw error;
    }
  };
}

/** The client asks past every cache whether the session still exists; what this page sends for a button does not. */
function isCheck(request: Request): boolean {
  return request.cache === "no-store" && request.method === "GET" && request.url.endsWith("/v1/auth/session");
}

function reasonIn(text: string): string {
  try {
    const { reason } = JSON.parse(text) as { reason?: unknown };
    return typeof reason === "string" ? reason : "";
  } catch {
    return "";
  }
}

async function describeRequest(request: Request, hiddenCookie: string): Promise<string> {
  const lines = [`${request.method} ${new URL(request.url).pathname}`];
  const bearer = request.headers.get("authorization");
  if (bearer !== null) lines.push(`authorization: Bearer ${shorten(bearer.slice(7))}`);
  if (request.credentials === "include") lines.push(`cookie: (${hiddenCookie})`);
  const body = showBody(await request.text());
  if (body !== "") lines.push(body);
  return lines.join("\n");
}

function describeResponse(response: Response, text: string): string {
  const lines = [`${response.status} ${response.statusText}`];
  for (const name of ["content-type", "retry-after", "www-authenticate"]) {
    const value = response.headers.get(name);
    if (value !== null) lines.push(`${name}: ${value}`);
  }
  const body = showBody(text);
  if (body !== "") lines.push(body);
  return lines.join("\n");
}
