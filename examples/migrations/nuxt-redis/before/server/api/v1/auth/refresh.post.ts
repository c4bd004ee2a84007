export default defineEventHandler(async (event) => {
  const { refreshToken } = (await readBody(event)) ?? {};
  if (typeof refreshToken !== "string") return failure(1001, "no token");
  const userId = await redis.get(`refresh:${refreshToken}`);
  const user = userId === null ? undefined : await findUser("id", Number(userId));
  return user ? success(issueAccessToken(user)) : failure(1005, "please log in again");
});
