-- Holds bodies to what their method takes, and those of one address together to what one may hold, before anything waits for them:
-- what is beyond that is read and dropped, so that a client which sends before it reads hears the refusal, and what it sent is nowhere.
-- rest.lua comes next and says what was too large.

local API = require("gen.edge")
local counted_as = require("envoy.addresses").counted_as
local is_grpc = require("envoy.headers").is_grpc

-- Of standard health and reflection nobody asks more.
local STANDARD_BYTES = 65536
-- What gRPC puts before a message.
local PREFIX_BYTES = 5

-- What the unfinished bodies of one stranger's address may hold together, or those of one key that a server took, in one worker: two
-- results of jobs, and a few more. By key, as a whole company may have one address.
local HELD_BYTES = { strangers = 25165824, known = 67108864 }
-- Who is counted apart; those that come later share what one may hold.
local HOLDERS = 20000
local TOO_LARGE, TOO_MANY = "too_large", "too_many"

local TAKES_BODY = { POST = true, PUT = true, PATCH = true, DELETE = true }

local function limit_of(headers)
  local path = (headers:get(":path") or ""):match("^[^?]*")
  if is_grpc(headers:get("content-type")) then
    local method = API.methods[path]
    if not method then return STANDARD_BYTES end
    -- Messages of a stream have no end together; the service counts each.
    return method.streams and math.huge or method.max_message_bytes + PREFIX_BYTES
  end
  -- What these are asked for is in their paths.
  if not TAKES_BODY[headers:get(":method")] then return 0 end
  -- By their ends, whatever base path is before them: one that is none is refused by rest.lua.
  for _, own in ipairs(API.own_body_limits) do
    if path:find(own.path) then return own.max_bytes end
  end
  return API.max_body_bytes
end

-- What the bodies under way hold, by whom.
local holders, count = {}, 0

local function take_away(body)
  local left = holders[body.name] - body.bytes
  holders[body.name], body.bytes = left > 0 and left or nil, 0
  if left <= 0 then count = count - 1 end
end

-- No script hears of a request that is reset or refused half-way: Envoy lets go of what ran for it, and what only that knew is collected.
local lost, looked_at = {}, 0

local function tell_when_lost(body)
  body.witness = newproxy(true)
  -- No more than this: it runs in the midst of whatever made the collector run.
  getmetatable(body.witness).__gc = function() lost[#lost + 1] = body end
  return body
end

local function take_lost_away()
  local found = lost
  lost = {}
  for _, body in ipairs(found) do
    if body.bytes > 0 then take_away(body) end
  end
end

-- Before anybody is refused for what is held. Once a second: who is refused a thousand times must not make it cost a thousand times.
local function look_for_lost()
  if looked_at ~= os.time() then
    looked_at = os.time()
    -- What has a finalizer is told of in one collection.
    collectgarbage()
  end
  take_lost_away()
end

local function begin(handle, caller)
  local is_stranger = caller.calls == "anonymous"
  local kind = is_stranger and "strangers " or "known "
  local name = kind .. (is_stranger and counted_as(handle:streamInfo():downstreamRemoteAddress()) or caller.key)
  if not holders[name] and count >= HOLDERS then look_for_lost() end
  if not holders[name] and count >= HOLDERS then name = kind .. "others" end
  return tell_when_lost({ name = name, most = is_stranger and HELD_BYTES.strangers or HELD_BYTES.known, bytes = 0 })
end

-- Counts more bytes of a body; returns whether there was room for them, or its senders hold too much.
local function hold(body, bytes)
  if bytes == 0 then return true end
  take_lost_away()
  if (holders[body.name] or 0) + bytes > body.most then look_for_lost() end
  local held = (holders[body.name] or 0) + bytes
  if held > body.most then return false end
  if not holders[body.name] then count = count + 1 end
  holders[body.name], body.bytes = held, body.bytes + bytes
  return true
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local room = limit_of(headers)
  -- Nothing is needed of what says itself that it is too much.
  local length = tonumber(headers:get("content-length") or "")
  if length and length > room then room = 0 end
  -- Of callers.lua, which is not asked where nothing is limited; a stream holds nothing here.
  local caller = room < math.huge and handle:streamInfo():dynamicMetadata():get("dc1.caller")
  local over, body
  for chunk in handle:bodyChunks() do
    -- Fetched anew: nothing that was, before a wait, may be used after it.
    local metadata = handle:streamInfo():dynamicMetadata()
    local told = metadata:get("dc1")
    local is_dropped = over or told and told.body and told.body.refusal
    room = room - chunk:length()
    if not is_dropped and caller then
      body = body or begin(handle, caller)
      if not hold(body, chunk:length()) then over = TOO_MANY end
    end
    if room < 0 and not over then over = TOO_LARGE end
    if over and not is_dropped then metadata:set("dc1", "over", over) end
    if over or is_dropped then chunk:setBytes("") end
  end
  if body and body.bytes > 0 then take_away(body) end
end
