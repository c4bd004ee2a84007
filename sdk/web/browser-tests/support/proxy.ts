import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

/** A certificate and its key, in PEM. */
export interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** One exchange between the browser and the edge, as it was on the wire. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly status: number;
  readonly answer: string;
  readonly setCookie: readonly string[];
}

/** An answer that is kept back. */
export interface HeldAnswer {
  /** The edge has answered. */
  readonly arrived: Promise<void>;
  /** Lets the answer go. */
  release(): void;
}

interface Interference {
  readonly path: string;
  /** Whether the answer is passed on, once that is known. */
  readonly decide: () => Promise<boolean>;
}

/** A page of an application, whose edge is at this origin; at the page's own without one. */
export function harness(edge = ""): string {
  return `<!doctype html>
<title>a page of the application</title>
<script type="module">
  import { createAuthClient } from "${edge}/countersign.js";
  window.logouts = [];
  window.start = (options) => {
    window.client = createAuthClient({ baseUrl: "${edge}" || location.origin, ...options });
    window.client.onLoggedOut((reason) => window.logouts.push({ reason, at: Date.now() }));
  };
  document.title = "ready";
</script>`;
}

/**
 * Stands between the browser and the edge: writes down what passes, cuts answers off or keeps them back, and serves
 * an empty page of the same origin. No connection is used twice, for a browser repeats by itself what fails on one
 * that was.
 */
export class Proxy {
  readonly exchanges: Exchange[] = [];
  readonly #server: Server;
  readonly #interferences: Interference[] = [];

  readonly #scheme: string;

  private constructor(upstream: URL, identity: Identity | undefined) {
    const pass = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
      this.#pass(upstream, incoming, outgoing).catch(() => outgoing.destroy());
    };
    this.#scheme = identity === undefined ? "http" : "https";
    this.#server = identity === undefined ? createServer(pass) : createTlsServer(identity, pass);
  }

  /** With an identity it speaks TLS to the browser, as whatever stands in front of the edge does. */
  static async start(upstream: string, identity?: Identity): Promise<Proxy> {
    const proxy = new Proxy(new URL(upstream), identity);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get origin(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  count(path: string, status?: number): number {
    return this.exchanges.filter((it) => it.path === path && (status ?? it.status) === it.status).length;
  }

  /** The edge gets the next request of this path and answers it, but the answer is lost. */
  cutNext(path: string): void {
    this.#interferences.push({ path, decide: () => Promise.resolve(false) });
  }

  /** The edge answers the next request of this path, but the answer is kept back. */
  holdNext(path: string): HeldAnswer {
    const { promise: arrived, resolve: arrive } = deferred();
    const { promise: released, resolve: release } = deferred();
    const decide = async (): Promise<boolean> => {
      arrive();
      await released;
      return true;
    };
    this.#interferences.push({ path, decide });
    return { arrived, release };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(upstream: URL, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    outgoing.setHeader("connection", "close");
    const { method = "", url = "", headers } = incoming;
    if (url === "/harness") return void outgoing.setHeader("content-type", "text/html").end(harness());
    const body = await readAll(incoming);
    const answer = await ask(upstream, { method, path: url, headers: { ...headers, connection: "close" } }, body);
    const bytes = await readAll(answer);
    const setCookie = answer.headers["set-cookie"] ?? [];
    const status = answer.statusCode ?? 0;
    this.exchanges.push({ method, path: url, headers, status, answer: bytes.toString(), setCookie });
    const index = this.#interferences.findIndex((it) => it.path === url);
    const interference = index < 0 ? undefined : this.#interferences.splice(index, 1)[0];
    if (interference && !(await interference.decide())) return void outgoing.destroy();
    outgoing.writeHead(status, { ...answer.headers, connection: "close" }).end(bytes);
  }
}

function ask(
  upstream: URL,
  options: { method: string; path: string; headers: IncomingMessage["headers"] },
  body: Buffer,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { hostname: host, port } = upstream;
    request({ ...options, host, port }, resolve).on("error", reject).end(body);
  });
}

async function readAll(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}
