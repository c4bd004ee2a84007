-- What every script about sessions shares. KEYS[1] holds all sessions of one user: their records one after the
-- other in a string, or, once they are many, each in a field of a hash. One key is one slot, and one TTL.
--
-- A record, its integers big-endian (src/store/redis/record.rs is the other side):
--    1  its length                                 3 bytes
--    4  session id                                16
--   20  epoch                                      8
--   28  current generation                         4
--   32  predecessor                                4
--   36  whether there is a predecessor: 1 or 0     1
--   37  rotated at, in ms since 1970               6
--   43  MAC key id                                 4
--   47  idle end                                   6
--   53  created at                                 6
--   59  absolute end                               6
--   65  audiences and client facts, which no script reads
local SHORTEST = 64
-- What a rotation moves lies together.
local MOVED_FROM, MOVED_TO = 28, 52
local IDLE_END = 47
-- The largest time that 6 bytes hold.
local LATEST = 281474976710655
-- How many ms a key outlives the sessions in it, so that a late token is told that it is late.
local MARGIN = 60000
-- The largest string that is searched record by record, in bytes.
local LARGE = 32768

-- What a script answers that does nothing because it comes too late.
local LATE = -1

-- Whether the caller has long given up: what it asked for must not happen any more, since by now the session may
-- have been continued by its next request.
local function is_late(now, not_after)
  return not_after ~= '' and now > tonumber(not_after)
end

local function instant(ms)
  return math.max(0, math.min(ms, LATEST))
end

local function length_at(value, at)
  local length = #value - at >= 2 and struct.unpack('>I3', value, at) or 0
  if length < SHORTEST or at + length - 1 > #value then
    error('CORRUPT: records do not fill the value')
  end
  return length
end

-- Calls `visit(record)` for each record.
local function each(value, visit)
  local at = 1
  while at <= #value do
    local length = length_at(value, at)
    visit(string.sub(value, at, at + length - 1))
    at = at + length
  end
end

local function id_of(record)
  return string.sub(record, 4, 19)
end

local function idle_end_of(record)
  return (struct.unpack('>I6', record, IDLE_END))
end

-- The string at the key, or nil; and whether it is a hash instead.
local function load(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then
    return nil, true
  end
  return value or nil, false
end

-- All records, one after the other, and whether they are in a hash.
local function load_all(key)
  local value, is_hash = load(key)
  if is_hash then
    return table.concat(redis.call('HVALS', key)), true
  end
  return value or '', false
end

-- One record; and where it begins, unless it is in a hash.
local function locate(key, id)
  local value, is_hash = load(key)
  if is_hash then
    local record = redis.call('HGET', key, id)
    if record then
      length_at(record, 1)
    end
    return record or nil
  end
  local at = 1
  while value and at <= #value do
    local length = length_at(value, at)
    if string.sub(value, at + 3, at + 18) == id then
      return string.sub(value, at, at + length - 1), at
    end
    at = at + length
  end
end

-- Lets the key live for at least so many ms more.
local function live_for(key, ms)
  if ms + MARGIN > redis.call('PTTL', key) then
    redis.call('PEXPIRE', key, ms + MARGIN)
  end
end

-- Fails on a replica, as only writes do: that something is not there, or is over, may be news that a replica has
-- not heard yet. Changes nothing.
local function insist_on_master(key)
  local lives = redis.call('PTTL', key)
  if lives > 0 then
    redis.call('PEXPIRE', key, lives)
  else
    redis.call('PERSIST', key)
  end
end

-- Whether a script may delete the key and write it anew. While its slot moves to another node of a Cluster, a key that is
-- not there is the other node's to write, within a script too: what was deleted would be lost.
local function stays(key)
  return type(redis.pcall('PTTL', key .. ':')) == 'number'
end
