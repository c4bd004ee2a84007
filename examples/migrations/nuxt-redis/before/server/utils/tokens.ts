import { randomBytes } from "node:crypto";
import jwt from "jsonwebtoken";
import type { User } from "./users";

const SECRET = process.env.ACCESS_SECRET ?? "the secret of access tokens";
const FIFTEEN_MINUTES = 15 * 60;
export const SEVEN_DAYS = 7 * 24 * 3600;

export function issueAccessToken(user: User) {
  const accessToken = jwt.sign({ userId: user.id, username: user.username, role: user.role }, SECRET, { expiresIn: FIFTEEN_MINUTES });
  return { accessToken, expiresAt: Date.now() + FIFTEEN_MINUTES * 1000 };
}

export async function issueRefreshToken(user: User) {
  const refreshToken = randomBytes(32).toString("base64url");
  await redis.set(`refresh:${refreshToken}`, user.id, "EX", SEVEN_DAYS);
  return { refreshToken, refreshExpiresAt: Date.now() + SEVEN_DAYS * 1000 };
}

export const readAccessToken = (token: string) => jwt.verify(token, SECRET) as { userId: number; username: string; role: string };
