// The catalog is what customers ask. It answers users and no programs, and asks prices with a service token of its own.
import { createServer } from "node:http";
import { Verifier } from "@countersign/node";
import { authenticate, tokenOf } from "@countersign/node/http";

const { COUNTERSIGN, EDGE, PRICES, SERVICE_NAME, SERVICE_KEY, LISTEN_PORT } = process.env;
const verifier = Verifier.connect({ endpoint: COUNTERSIGN, issuer: "countersign", audiences: ["countersign"] });
const signedIn = authenticate(verifier);

// The service token is kept until shortly before it expires.
let service = { token: "", until: 0 };
async function serviceToken() {
  if (Date.now() < service.until) {
    return service.token;
  }
  const response = await fetch(`${EDGE}/oauth2/token`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(`${SERVICE_NAME}:${SERVICE_KEY}`).toString("base64")}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
    signal: AbortSignal.timeout(2000),
  });
  if (!response.ok) {
    throw new Error(`no service token: ${response.status}`);
  }
  const { access_token, expires_in } = await response.json();
  service = { token: access_token, until: Date.now() + (expires_in - 30) * 1000 };
  return service.token;
}

async function price(item, userToken) {
  const response = await fetch(`${PRICES}/prices/${encodeURIComponent(item)}`, {
    headers: { authorization: `Bearer ${await serviceToken()}`, "x-user-token": userToken },
    signal: AbortSignal.timeout(2000),
  });
  return { status: response.status, body: await response.text() };
}

// Server-sent events until the user's session ends.
function stream(request, response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const tell = () => response.write("data: open\n\n");
  tell();
  const tick = setInterval(tell, 1000);
  const forget = verifier.whenRevoked(tokenOf(request), () => response.end("event: over\ndata: the session has ended\n\n"));
  response.once("close", () => {
    clearInterval(tick);
    forget();
  });
}

const server = createServer((request, response) => {
  if (request.url === "/readyz") {
    response.writeHead(verifier.staleness() === undefined ? 503 : 200).end();
    return;
  }
  signedIn(request, response, async (error) => {
    if (error) {
      response.writeHead(500).end();
      return;
    }
    if (tokenOf(request).subjectKind !== "user") {
      response.writeHead(403).end("this is for people");
      return;
    }
    if (request.method === "GET" && request.url === "/stream") {
      stream(request, response);
      return;
    }
    const item = /^\/items\/([a-z]+)$/.exec(request.url)?.[1];
    if (request.method !== "GET" || item === undefined) {
      response.writeHead(404).end();
      return;
    }
    try {
      const { status, body } = await price(item, request.headers.authorization.replace(/^bearer +/i, ""));
      response.writeHead(status, { "content-type": status === 200 ? "application/json" : "text/plain" }).end(body);
    } catch {
      response.writeHead(502).end("prices cannot be asked");
    }
  });
});
server.listen(Number(LISTEN_PORT), "127.0.0.1");

process.once("SIGTERM", async () => {
  server.close();
  await verifier.close();
});
