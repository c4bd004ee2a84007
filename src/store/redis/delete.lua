-- Forgets the sessions named.
local value, is_hash = load(KEYS[1])
if is_hash then
  -- With its last field the key is gone, and no command may name it any more (`stays`).
  local left = redis.call('HLEN', KEYS[1])
  for _, id in ipairs(ARGV) do
    if left > 0 then
      left = left - redis.call('HDEL', KEYS[1], id)
    end
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
if packed == '' then
  redis.call('DEL', KEYS[1])
elseif #packed < #value then
  -- A full store refuses a script whose first write may need memory, and this one needs none.
  insist_on_master(KEYS[1])
  redis.call('SET', KEYS[1], packed, 'KEEPTTL')
end
return 1
