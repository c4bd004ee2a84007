// Logs in, refreshes, logs out. Redis has the one refresh token that a user may have.
import bcrypt from "bcryptjs";
import { Router } from "express";
import { Redis } from "ioredis";
import jwt from "jsonwebtoken";
import { guard } from "./guard.js";
import { users } from "./users.js";

const ACCESS_SECRET = process.env.ACCESS_SECRET ?? "the secret of access tokens";
const REFRESH_SECRET = process.env.REFRESH_SECRET ?? "the secret of refresh tokens";
const SEVEN_DAYS = 7 * 24 * 3600;

const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const keyOf = (userId) => `refresh_token:${userId}`;

async function issue(user) {
  const claims = { userId: user.id, username: user.username };
  const accessToken = jwt.sign(claims, ACCESS_SECRET, { expiresIn: "1h" });
  const refreshToken = jwt.sign({ ...claims, nonce: crypto.randomUUID() }, REFRESH_SECRET, { expiresIn: SEVEN_DAYS });
  await redis.set(keyOf(user.id), refreshToken, "EX", SEVEN_DAYS);
  return { accessToken, refreshToken };
}

export const auth = Router();

auth.post("/login", async (request, response) => {
  const { username = "", password = "" } = request.body ?? {};
  const user = users.find((it) => it.username === username);
  if (!user || !(await bcrypt.compare(password, user.passwordHash))) {
    return response.status(400).json({ code: 400, message: "wrong username or password" });
  }
  response.json({ code: 200, message: "ok", data: await issue(user) });
});

auth.post("/refresh", async (request, response) => {
  const { refreshToken = "" } = request.body ?? {};
  try {
    const { userId } = jwt.verify(refreshToken, REFRESH_SECRET);
    if ((await redis.get(keyOf(userId))) !== refreshToken) throw new Error("it is not the newest");
    response.json({ code: 200, message: "ok", data: await issue(users.find((it) => it.id === userId)) });
  } catch {
    response.status(403).json({ code: 403, message: "please log in again" });
  }
});

auth.post("/logout", guard, async (request, response) => {
  await redis.del(keyOf(request.user.userId));
  response.json({ code: 200, message: "ok" });
});

auth.post("/password", guard, async (request, response) => {
  const { oldPassword = "", newPassword = "" } = request.body ?? {};
  const user = users.find((it) => it.id === request.user.userId);
  if (!(await bcrypt.compare(oldPassword, user.passwordHash))) {
    return response.status(400).json({ code: 400, message: "the password is wrong" });
  }
  user.passwordHash = await bcrypt.hash(newPassword, 10);
  await redis.del(keyOf(user.id));
  response.json({ code: 200, message: "ok" });
});
