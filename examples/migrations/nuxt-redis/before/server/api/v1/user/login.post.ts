import bcrypt from "bcryptjs";

export default defineEventHandler(async (event) => {
  const { username, password } = (await readBody(event)) ?? {};
  if (typeof username !== "string" || typeof password !== "string") return failure(3001, "username and password are needed");
  const user = await findUser("username", username);
  if (!user || !(await bcrypt.compare(password, user.password_hash))) return failure(1004, "wrong username or password");
  const { accessToken, expiresAt: accessExpiresAt } = issueAccessToken(user);
  const { refreshToken, refreshExpiresAt } = await issueRefreshToken(user);
  return success({ accessToken, refreshToken, accessExpiresAt, refreshExpiresAt, user: { id: user.id, username } });
});
