-- Takes back what admit.lua counted, and forgets the failures before it.
redis.call('DEL', KEYS[1])
for index, interval in ipairs(ARGV) do
  local arrival = redis.call('GET', KEYS[index + 1])
  if arrival then
    redis.call('SET', KEYS[index + 1], string.format('%.0f', tonumber(arrival) - tonumber(interval)), 'KEEPTTL')
  end
end
return 1
