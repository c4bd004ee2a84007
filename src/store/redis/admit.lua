-- Admits a login or says how long to wait: the rules of src/model/throttle.rs, all at once. Counts what it admits
-- and nothing else. KEYS: the account from its source, the source, all together, when the account last succeeded
-- there, and the account from all sources.
-- How many ms a key outlives its use.
local MARGIN = 60000
local rates = {
  { key = KEYS[2], burst = tonumber(ARGV[5]), interval = tonumber(ARGV[6]) },
  { key = KEYS[3], burst = tonumber(ARGV[7]), interval = tonumber(ARGV[8]) },
}
local now, known_for = time(ARGV[9]), tonumber(ARGV[10])

-- The attempts at a key by the rule whose four numbers begin at ARGV[from], and how long they must wait.
local function back_off(key, from)
  local free, first, longest, forget = unpack(ARGV, from, from + 3)
  local count, last = 0, 0
  local attempts = redis.call('GET', key)
  if attempts then
    count, last = struct.unpack('>I4I6', attempts)
  end
  local since = math.max(0, now - last)
  if since >= tonumber(forget) then
    count = 0
  end
  local wait = 0
  if count >= tonumber(free) then
    local pause = tonumber(first) * 2 ^ math.min(count - tonumber(free), 30)
    wait = math.floor(math.min(pause, tonumber(longest))) - since
  end
  return { key = key, count = count, forget = tonumber(forget), wait = wait }
end

local account, total = back_off(KEYS[1], 1), back_off(KEYS[5], 11)
local wait = math.max(0, account.wait)

local succeeded = tonumber(redis.call('GET', KEYS[4]) or '')
local is_known = succeeded and now - succeeded < known_for
if not is_known then
  wait = math.max(wait, total.wait)
end

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

for _, attempts in ipairs({ account, total }) do
  local counted = struct.pack('>I4I6', math.min(attempts.count + 1, 4294967295), now)
  redis.call('SET', attempts.key, counted, 'PX', math.max(attempts.forget, 1))
end
for _, rate in ipairs(rates) do
  redis.call('SET', rate.key, string.format('%.0f', rate.arrival), 'PX', rate.arrival - now + MARGIN)
end
return 0
