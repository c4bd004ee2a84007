import { shorten, showBody, type Received, type Sent } from "./wire.js";

/** How the watching is steered. */
export interface Watch {
  readonly send: (sent: Sent) => (received: Received) => void;
  /** The language in which the server is asked to answer. */
  readonly language: () => string;
  readonly hiddenCookie: () => string;
  /** So many of the next requests with a token get theirs spoiled. */
  spoil: number;
}

/** The browser's `fetch`, with everything shown that goes in and out. */
export function watchedFetch(watch: Watch): (input: RequestInfo | URL, init?: RequestInit) => Promise<Response> {
  return async (input, init) => {
    const request = new Request(input, init);
    request.headers.set("accept-language", watch.language());
    const bearer = request.headers.get("authorization");
    if (bearer !== null && watch.spoil > 0) {
      watch.spoil -= 1;
      request.headers.set("authorization", `${bearer.slice(0, -12)}${"A".repeat(12)}`);
    }
    const { pathname: path } = new URL(request.url);
    const details = await describeRequest(request.clone(), watch.hiddenCookie());
    const receive = watch.send({
      method: request.method,
      path,
      bearer: request.headers.get("authorization") ?? "",
      details,
    });
    const started = performance.now();
    const show = (status: number, text: string): void =>
      receive({ status, milliseconds: performance.now() - started, details: text });
    try {
      const response = await fetch(request);
      const text = await response.clone().text();
      show(response.status, describeResponse(response, text));
      return response;
    } catch (error) {
      show(0, String(error));
      throw error;
    }
  };
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
