import { randomBytes } from "node:crypto";

/** The page has the cookie's value in a <meta>, and sends it back with what changes something. */
export default defineEventHandler((event) => {
  event.context.csrf = getCookie(event, "csrf");
  if (event.path.startsWith("/api/")) {
    const sent = getHeader(event, "x-csrf-token");
    if (event.method !== "GET" && (!sent || sent !== event.context.csrf)) return failure(2002, "not from this page");
  } else if (!event.context.csrf) {
    event.context.csrf = randomBytes(16).toString("base64url");
    setCookie(event, "csrf", event.context.csrf, { httpOnly: true, sameSite: "lax", path: "/" });
  }
});
