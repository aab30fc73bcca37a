-- wrk: heartbeats of devices, each with its own key, in turn, minute after minute through the day before START.
--   wrk -s keyed.lua URL -- FILE START_S [close]      FILE has a line `id,key` for each device
local ids, keys, number, start = {}, {}, 0, 0

function init(args)
  for line in io.lines(args[1]) do
    local id, key = line:match("^([^,]+),(.+)$")
    if id ~= "device_id" then
      ids[#ids + 1] = id
      keys[#keys + 1] = "Bearer " .. key
    end
  end
  start = tonumber(args[2]) - 86400
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if args[3] == "close" then wrk.headers["Connection"] = "close" end
  math.randomseed(start)
  number = math.random(#ids)
end

function request()
  -- A step that is coprime to any count of the benchmarks touches devices in no order of memory.
  number = number + 7919
  local at = start + (math.floor(number / 7919 / #ids) % 1440) * 60 + number % 60
  local one = number % #ids + 1
  wrk.headers["Authorization"] = keys[one]
  local body = os.date('!{"sent_at":"%Y-%m-%dT%H:%M:%S.123456Z"}', at)
  return wrk.format(nil, "/api/v1/devices/" .. ids[one] .. "/heartbeat", nil, body)
end
