-- The user's sessions that are alive, one after the other.
insist_on_master(KEYS[1])
local now = time(ARGV[1])
local alive = {}
each((load_all(KEYS[1])), function(record)
  if idle_end_of(record) > now then
    alive[#alive + 1] = record
  end
end)
return table.concat(alive)
