-- The session, if it is alive.
local record = locate(KEYS[1], ARGV[1])
if record and idle_end_of(record) > time(ARGV[2]) then
  return record
end
insist_on_master(KEYS[1])
return ''
