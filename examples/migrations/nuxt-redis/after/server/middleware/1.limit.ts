/** A hundred requests a minute from each address. */
export default defineEventHandler(async (event) => {
  if (!event.path.startsWith("/api/")) return;
  const address = getRequestIP(event, { xForwardedFor: true });
  const key = `limit:${address}:${Math.floor(Date.now() / 60_000)}`;
  const [[, count]] = (await redis.multi().incr(key).expire(key, 60).exec()) as [[null, number]];
  if (count > 100) return failure(4001, "too many requests");
});
