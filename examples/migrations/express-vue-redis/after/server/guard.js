const EDGE = process.env.COUNTERSIGN_EDGE ?? "http://127.0.0.1:8080";
const CREDENTIALS = process.env.COUNTERSIGN_CLIENT ?? "orders:secret-of-the-orders-service";

/** Lets requests with a good access token through; `request.user` is who is calling. */
export async function guard(request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (scheme !== "Bearer") return response.status(401).json({ code: 401, message: "please log in" });
  let claims;
  try {
    claims = await introspect(token);
  } catch {
    // Nothing is known about the token: this must not log anyone out.
    return response.status(503).json({ code: 503, message: "please try again" });
  }
  if (!claims.active) return response.status(401).json({ code: 401, message: "please log in" });
  request.user = { userId: Number(claims.ext), username: claims.username };
  next();
}

/** What Countersign knows of an access token (RFC 7662). */
async function introspect(token) {
  const answer = await fetch(`${EDGE}/oauth2/introspect`, {
    method: "POST",
    headers: { authorization: `Basic ${Buffer.from(CREDENTIALS).toString("base64")}` },
    body: new URLSearchParams({ token }),
    signal: AbortSignal.timeout(1000),
  });
  if (!answer.ok) throw new Error(`introspection answered ${answer.status}`);
  return answer.json();
}
