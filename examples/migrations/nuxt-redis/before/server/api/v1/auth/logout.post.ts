export default defineEventHandler(async (event) => {
  const { refreshToken } = (await readBody(event)) ?? {};
  await redis.del(`refresh:${refreshToken}`);
  return success();
});
