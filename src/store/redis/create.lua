-- Begins a session, and tells which others must make room for it: they stay until their end is in the ledger, since
-- this answer may be lost. Sessions that are over, by time or by their epoch, are dropped. The answer begins with what
-- was decided and the time.
local id, epoch, mac_key, facts = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local idle, absolute = tonumber(ARGV[5]), tonumber(ARGV[6])
local most, may_evict = tonumber(ARGV[7]), ARGV[8] == '1'
local most_in_class, may_evict_in_class = tonumber(ARGV[9]), ARGV[10] == '1'
-- What a record of the class ends with (src/store/redis/record.rs).
local class_end = ARGV[11] ~= '' and '\0' .. ARGV[11] or ''
local limited = most > 0 or most_in_class > 0
local LIMIT_REACHED, CREATED = 0, 1

local now = time(ARGV[12])
if is_late(now, ARGV[13]) then
  return { LATE, now }
end
local existing = locate(KEYS[1], id)
if existing then
  return { CREATED, now, existing, '' }
end
local epoch_high, epoch_low = struct.unpack('>I4I4', epoch)

local function is_over(record)
  local high, low = struct.unpack('>I4I4', record, 20)
  return idle_end_of(record) <= now or high < epoch_high or (high == epoch_high and low < epoch_low)
end

-- A hash without a limit is only sampled: what is over leaves it bit by bit, and no login waits for thousands.
local value, is_hash = load(KEYS[1])
if is_hash then
  local records = limited and redis.call('HVALS', KEYS[1]) or redis.call('HRANDFIELD', KEYS[1], 16, 'WITHVALUES')
  local sampled = {}
  for index = limited and 1 or 2, #records, limited and 1 or 2 do
    length_at(records[index], 1)
    sampled[#sampled + 1] = records[index]
  end
  value = table.concat(sampled)
end

local kept, over, evicted = {}, {}, {}
each(value or '', function(record)
  local list = is_over(record) and over or kept
  list[#list + 1] = record
end)
if limited then
  -- Those refreshed longest ago first.
  local order = {}
  for place, record in ipairs(kept) do
    local rotated_at = struct.unpack('>I6', record, 37)
    local created_at = struct.unpack('>I6', record, 53)
    order[place] = { record = record, rotated_at = rotated_at, created_at = created_at, place = place }
  end
  table.sort(order, function(a, b)
    if a.rotated_at ~= b.rotated_at then
      return a.rotated_at < b.rotated_at
    end
    if a.created_at ~= b.created_at then
      return a.created_at < b.created_at
    end
    return a.place < b.place
  end)

  -- Takes so many of those that are left and belong.
  local function evict(count, belongs)
    local left = {}
    for _, entry in ipairs(order) do
      if count > 0 and belongs(entry) then
        count = count - 1
        evicted[#evicted + 1] = entry.record
      else
        left[#left + 1] = entry
      end
    end
    order = left
  end
  local function in_class(entry)
    return string.sub(entry.record, -#class_end) == class_end
  end
  if most_in_class > 0 and class_end ~= '' then
    local there = 0
    for _, entry in ipairs(order) do
      there = there + (in_class(entry) and 1 or 0)
    end
    if there >= most_in_class then
      if not may_evict_in_class then
        return { LIMIT_REACHED, now }
      end
      evict(there - most_in_class + 1, in_class)
    end
  end
  if most > 0 and #order >= most then
    if not may_evict then
      return { LIMIT_REACHED, now }
    end
    evict(#order - most + 1, function()
      return true
    end)
  end
end

local absolute_end = instant(now + absolute)
local idle_end = math.min(absolute_end, instant(now + idle))
local length = SHORTEST + #facts
local record = struct.pack('>I3c16c8I4I4BI6c4I6I6I6', length, id, epoch, 0, 0, 0, instant(now), mac_key, idle_end,
  instant(now), absolute_end) .. facts

if is_hash then
  redis.call('HSET', KEYS[1], id, record)
  for _, gone in ipairs(over) do
    redis.call('HDEL', KEYS[1], id_of(gone))
  end
else
  local lives = redis.call('PTTL', KEYS[1])
  kept[#kept + 1] = record
  local packed = table.concat(kept)
  if #packed <= LARGE or not stays(KEYS[1]) then
    redis.call('SET', KEYS[1], packed, 'PX', math.max(lives, 1))
  else
    -- The first write is one that a full store refuses, so that nothing is lost to one.
    redis.call('SET', KEYS[1], packed)
    redis.call('DEL', KEYS[1])
    each(packed, function(each_record)
      redis.call('HSET', KEYS[1], id_of(each_record), each_record)
    end)
    redis.call('PEXPIRE', KEYS[1], math.max(lives, 1))
  end
end
live_for(KEYS[1], idle_end - now)
return { CREATED, now, record, table.concat(evicted) }
