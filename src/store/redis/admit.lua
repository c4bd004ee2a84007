-- Admits a login or says how long to wait: the rules of src/model/throttle.rs, all at once. Counts what it admits
-- and nothing else. KEYS: the account from its source, the source, all together, and when the account last succeeded
-- there.
-- How many ms a key outlives its use.
local MARGIN = 60000
local free, first, longest, forget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local rates = {
  { key = KEYS[2], burst = tonumber(ARGV[5]), interval = tonumber(ARGV[6]) },
  { key = KEYS[3], burst = tonumber(ARGV[7]), interval = tonumber(ARGV[8]) },
}
local now, known_for = time(ARGV[9]), tonumber(ARGV[10])

local count, last = 0, 0
local attempts = redis.call('GET', KEYS[1])
if attempts then
  count, last = struct.unpack('>I4I6', attempts)
end
local since = math.max(0, now - last)
if since >= forget then
  count = 0
end
local wait = 0
if count >= free then
  wait = math.floor(math.min(first * 2 ^ math.min(count - free, 30), longest)) - since
end

local succeeded = tonumber(redis.call('GET', KEYS[4]) or '')
local is_known = succeeded and now - succeeded < known_for

for _, rate in ipairs(rates) do
  local tolerance = rate.burst * rate.interval
  local arrival = tonumber(redis.call('GET', rate.key) or 0)
  rate.arrival = math.max(now, math.min(arrival, now + tolerance)) + rate.interval
  if rate.key ~= KEYS[3] or not is_known then
    wait = math.max(wait, rate.arrival - tolerance - now)
  end
end
if wait > 0 then
  return wait
end

redis.call('SET', KEYS[1], struct.pack('>I4I6', math.min(count + 1, 4294967295), now), 'PX', math.max(forget, 1))
for _, rate in ipairs(rates) do
  redis.call('SET', rate.key, string.format('%.0f', rate.arrival), 'PX', rate.arrival - now + MARGIN)
end
return 0
