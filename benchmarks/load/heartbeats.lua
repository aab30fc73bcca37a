-- wrk: heartbeats of known devices, in turn, minute after minute through the day before START.
--   wrk -s heartbeats.lua URL -- PREFIX COUNT START_S [close]      devices are PREFIX0 … PREFIX(COUNT-1)
local prefix, count, start, number

function init(args)
  prefix, count, start = args[1], tonumber(args[2]), tonumber(args[3]) - 86400
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  if args[4] == "close" then wrk.headers["Connection"] = "close" end
  math.randomseed(start)
  number = math.random(count)
end

function request()
  -- A step that is coprime to any count of the benchmarks touches devices in no order of memory.
  number = number + 7919
  local at = start + (math.floor(number / 7919 / count) % 1440) * 60 + number % 60
  local body = os.date('!{"sent_at":"%Y-%m-%dT%H:%M:%S.123456Z"}', at)
  return wrk.format(nil, "/api/v1/devices/" .. prefix .. (number % count) .. "/heartbeat", nil, body)
end
