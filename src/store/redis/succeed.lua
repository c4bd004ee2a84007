-- Takes back what admit.lua counted, and forgets the failures before it.
redis.call('DEL', KEYS[1])
for index, interval in ipairs(ARGV) do
  local arrival = redis.call('GET', KEYS[index + 1])
  local left = redis.call('PTTL', KEYS[index + 1]) - tonumber(interval)
  if arrival and left > 0 then
    redis.call('SET', KEYS[index + 1], string.format('%.0f', tonumber(arrival) - tonumber(interval)), 'PX', left)
  elseif arrival then
    redis.call('DEL', KEYS[index + 1])
  end
end
return 1
