const OPEN = ["/api/v1/user/login", "/api/v1/auth/refresh", "/api/v1/auth/logout"];

/** Lets calls with a good access token through; `context.user` is who is calling. */
export default defineEventHandler((event) => {
  if (!event.path.startsWith("/api/") || OPEN.includes(event.path)) return;
  const token = getHeader(event, "authorization")?.match(/^Bearer (.+)$/)?.[1];
  if (!token) return failure(1001, "no token");
  try {
    const { userId: id, username, role } = readAccessToken(token);
    event.context.user = { id, username, role };
  } catch (error) {
    return (error as Error).name === "TokenExpiredError" ? failure(1002, "the token has expired") : failure(1003, "the token is invalid");
  }
});
