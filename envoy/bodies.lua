-- Holds bodies to what their method takes, before anything waits for them: what is beyond that is read and dropped, so that a client
-- which sends before it reads hears the refusal, and what it sent is nowhere. rest.lua comes next and says what was too large.

local API = require("gen.edge")

-- Of standard health and reflection nobody asks more.
local STANDARD_BYTES = 65536
-- What gRPC puts before a message.
local PREFIX_BYTES = 5

local TAKES_BODY = { POST = true, PUT = true, PATCH = true, DELETE = true }

local function limit_of(headers)
  local path = headers:get(":path"):match("^[^?]*")
  local content_type = headers:get("content-type") or ""
  -- As rest.lua and the transcoder tell it.
  if content_type == "application/grpc" or content_type:find("^application/grpc%+") then
    local method = API.methods[path]
    if not method then return STANDARD_BYTES end
    -- Messages of a stream have no end together; the service counts each.
    return method.streams and math.huge or method.max_message_bytes + PREFIX_BYTES
  end
  -- What these are asked for is in their paths.
  if not TAKES_BODY[headers:get(":method")] then return 0 end
  -- By their ends, whatever base path is before them: one that is none is refused by rest.lua.
  for _, larger in ipairs(API.larger_bodies) do
    if path:find(larger.path) then return larger.max_bytes end
  end
  return API.max_body_bytes
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local room = limit_of(headers)
  -- Nothing is needed of what says itself that it is too much.
  local length = tonumber(headers:get("content-length") or "")
  if length and length > room then room = 0 end
  local is_over = false
  for chunk in handle:bodyChunks() do
    -- Fetched anew: nothing that was, before a wait, may be used after it.
    local metadata = handle:streamInfo():dynamicMetadata()
    local told = metadata:get("dc1")
    room = room - chunk:length()
    if room < 0 and not is_over then
      is_over = true
      metadata:set("dc1", "over", true)
    end
    if is_over or told and told.body and told.body.refusal then chunk:setBytes("") end
  end
end
