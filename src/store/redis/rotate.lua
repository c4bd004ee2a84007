-- Answers a refresh token and moves the line: `decide` of src/model/rotation.rs, row by row. Changes nothing else,
-- and never revokes. The answer begins with what was decided and the time.
local id, generation, issued_at = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local epoch, mac_key, idle = ARGV[4], ARGV[5], tonumber(ARGV[6])
-- `settled` is below zero where a line never stands still.
local grace, settled, strict = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9] == '1'
local ROTATED, UNCHANGED, REPLAYED, WITHDRAWN, ADOPTED = 1, 2, 3, 4, 5
local IN_PROGRESS, REUSED, IDLE, SUPERSEDED, UNKNOWN = 6, 7, 8, 9, 10

local now = time(ARGV[10])
if is_late(now, ARGV[11]) then
  return { LATE, now }
end

local record, at = locate(KEYS[1], id)
if not record then
  insist_on_master(KEYS[1])
  return { UNKNOWN, now }
end
local current, predecessor, has_predecessor, rotated_at, _, idle_end, _, absolute_end =
  struct.unpack('>I4I4BI6c4I6I6I6', record, MOVED_FROM)
if idle_end <= now then
  insist_on_master(KEYS[1])
  return { IDLE, now }
end
if string.sub(record, 20, 27) ~= epoch then
  return { SUPERSEDED, now }
end

local answer, minted_from
local elapsed = math.max(0, now - rotated_at)
local stands_still = elapsed <= settled
-- The time of a session only moves forward, whatever becomes of the clock.
local moved_at = math.max(now, rotated_at)
if generation == current and issued_at == rotated_at then
  if stands_still and (has_predecessor == 1 or now < rotated_at) then
    answer = UNCHANGED
  else
    answer, minted_from = ROTATED, current
  end
elseif generation >= current then
  if issued_at > rotated_at or (generation > current and issued_at == rotated_at) then
    answer, current, minted_from = ADOPTED, generation, generation
    moved_at = math.max(moved_at, issued_at)
  else
    answer = REUSED
  end
elseif has_predecessor == 1 and generation == predecessor then
  if stands_still and elapsed <= grace then
    answer = REPLAYED
  elseif stands_still then
    answer = IN_PROGRESS
  elseif strict then
    answer = REUSED
  else
    answer, minted_from = WITHDRAWN, predecessor
  end
else
  answer = REUSED
end

-- Puts bytes into the record, here and in the store.
local function put(from, bytes)
  record = string.sub(record, 1, from - 1) .. bytes .. string.sub(record, from + #bytes)
  if at then
    redis.call('SETRANGE', KEYS[1], at + from - 2, bytes)
  else
    redis.call('HSET', KEYS[1], id, record)
  end
end

if minted_from then
  -- By a clock that is behind, it does not end earlier than before (`Session::idle_end_moved`).
  local kept = now < moved_at and idle_end or 0
  idle_end = math.max(kept, instant(math.min(absolute_end, moved_at + idle)))
  local successor = math.min(current + 1, 4294967295)
  put(MOVED_FROM, struct.pack('>I4I4BI6c4I6', successor, minted_from, 1, instant(moved_at), mac_key, idle_end))
  live_for(KEYS[1], idle_end - now)
elseif answer == UNCHANGED or answer == REPLAYED then
  -- The idle life counts from the last Refresh; a gain of less than a hundredth is left out (`Session::idle_end_unmoved`).
  local slid = instant(math.min(absolute_end, now + idle))
  if slid > idle_end and (slid - idle_end) * 100 >= idle then
    put(IDLE_END, struct.pack('>I6', slid))
    live_for(KEYS[1], slid - now)
  end
end
if answer == IN_PROGRESS or answer == REUSED then
  return { answer, now }
end
return { answer, now, record }
