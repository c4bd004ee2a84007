import jwt from "jsonwebtoken";

const ACCESS_SECRET = process.env.ACCESS_SECRET ?? "the secret of access tokens";

/** Lets requests with a good access token through; `request.user` is who is calling. */
export function guard(request, response, next) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  try {
    if (scheme !== "Bearer") throw new Error("no token");
    request.user = jwt.verify(token, ACCESS_SECRET);
  } catch {
    return response.status(401).json({ code: 401, message: "please log in" });
  }
  next();
}
