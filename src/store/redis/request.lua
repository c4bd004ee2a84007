-- Counts a request of one source, or says how many ms to wait: `Rate` of src/model/throttle.rs.
-- How many ms a key outlives its use.
local MARGIN = 60000
local burst, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = time(ARGV[3])

local tolerance = burst * interval
local arrival = tonumber(redis.call('GET', KEYS[1]) or 0)
arrival = math.max(now, math.min(arrival, now + tolerance)) + interval
local wait = arrival - tolerance - now
if wait > 0 then
  return wait
end
redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', arrival - now + MARGIN)
return 0
