-- Takes back what admit.lua counted, forgets the failures before it, and remembers the success. KEYS as there.
redis.call('DEL', KEYS[1], KEYS[5])
for index = 1, 2 do
  local arrival = redis.call('GET', KEYS[index + 1])
  if arrival then
    redis.call('SET', KEYS[index + 1], string.format('%.0f', tonumber(arrival) - tonumber(ARGV[index])), 'KEEPTTL')
  end
end
redis.call('SET', KEYS[4], string.format('%.0f', time(ARGV[3])), 'PX', ARGV[4])
return 1
