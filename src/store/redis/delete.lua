-- Forgets the sessions named.
local value, is_hash = load(KEYS[1])
if is_hash then
  for _, id in ipairs(ARGV) do
    redis.call('HDEL', KEYS[1], id)
  end
  return 1
end
if not value then
  return 1
end
local named, kept = {}, {}
for _, id in ipairs(ARGV) do
  named[id] = true
end
each(value, function(record)
  if not named[id_of(record)] then
    kept[#kept + 1] = record
  end
end)
local packed = table.concat(kept)
if #packed < #value then
  -- A full store refuses a script whose first write may need memory, and DEL needs none.
  local lives = redis.call('PTTL', KEYS[1])
  redis.call('DEL', KEYS[1])
  if packed ~= '' then
    redis.call('SET', KEYS[1], packed, 'PX', math.max(lives, 1))
  end
end
return 1
