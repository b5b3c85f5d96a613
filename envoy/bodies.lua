-- Holds bodies to what their method takes, and those of one address together to what one may hold, before anything waits for them:
-- what is beyond that is read and dropped, so that a client which sends before it reads hears the refusal, and what it sent is nowhere.
-- rest.lua comes next and says what was too large.

local API = require("gen.edge")

-- Of standard health and reflection nobody asks more.
local STANDARD_BYTES = 65536
-- What gRPC puts before a message.
local PREFIX_BYTES = 5

-- What the unfinished bodies of one address may hold together, in one worker: two results of jobs of strangers, a few more of those whose
-- keys a server took.
local HELD_BYTES = { strangers = 25165824, known = 67108864 }
-- The routes let none take longer. What was reset is counted for as long, as no script hears of it.
local SLOT_SECONDS, SLOTS = 30, 6
-- Addresses that are counted apart; those that come later share what one may hold.
local HOLDERS = 20000
local TOO_LARGE, TOO_MANY = "too_large", "too_many"

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
  for _, own in ipairs(API.own_body_limits) do
    if path:find(own.path) then return own.max_bytes end
  end
  return API.max_body_bytes
end

-- What a rate limit counts an address by: itself, or its /64, of which one IPv6 client has every address.
local function counted_as(address)
  local v6 = address:match("^%[(.-)%]")
  if not v6 then return address:match("^[^:]*") end
  local head, tail = v6:match("^(.-)::(.*)$")
  local groups, after = {}, {}
  for group in (head or v6):gmatch("[^:]+") do groups[#groups + 1] = group end
  for group in (tail or ""):gmatch("[^:]+") do after[#after + 1] = group end
  while #groups + #after < 8 do groups[#groups + 1] = "0" end
  for _, group in ipairs(after) do groups[#groups + 1] = group end
  return table.concat(groups, ":", 1, 4)
end

-- By address what the bodies under way hold, in slots of when they began: addresses and bodies are for clients to make up, slots are few.
local holders, count, swept_at = {}, 0, 0

local function forget_ended(holder, slot)
  for begun, bytes in pairs(holder.slots) do
    if begun < slot - SLOTS then
      holder.bytes = holder.bytes - bytes
      holder.slots[begun] = nil
    end
  end
end

local function drop_if_empty(name)
  if holders[name] and holders[name].bytes == 0 then holders[name], count = nil, count - 1 end
end

-- Whose senders all vanished are found by nobody else.
local function sweep(slot)
  if swept_at == slot then return end
  swept_at = slot
  for name, holder in pairs(holders) do
    forget_ended(holder, slot)
    drop_if_empty(name)
  end
end

local function begin(handle, is_stranger)
  local slot = math.floor(os.time() / SLOT_SECONDS)
  sweep(slot)
  local kind = is_stranger and "strangers " or "known "
  local name = kind .. counted_as(handle:streamInfo():downstreamRemoteAddress())
  if not holders[name] and count >= HOLDERS then name = kind .. "others" end
  return { name = name, slot = slot, bytes = 0 }
end

-- Counts more bytes of a body, or less where it has ended; returns what its address holds then.
local function hold(body, bytes)
  local holder = holders[body.name]
  if not holder then holder, count = { bytes = 0, slots = {} }, count + 1 end
  holders[body.name] = holder
  local held = holder.slots[body.slot] or 0
  -- Of a slot that was forgotten there is nothing left to take away.
  bytes = math.max(bytes, -held)
  holder.slots[body.slot], holder.bytes, body.bytes = held + bytes, holder.bytes + bytes, body.bytes + bytes
  return holder.bytes
end

local function finish(body)
  hold(body, -body.bytes)
  drop_if_empty(body.name)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local room = limit_of(headers)
  -- Nothing is needed of what says itself that it is too much.
  local length = tonumber(headers:get("content-length") or "")
  if length and length > room then room = 0 end
  -- Of callers.lua, which is not asked where nothing is limited; a stream holds nothing here.
  local caller = room < math.huge and handle:streamInfo():dynamicMetadata():get("dc1.caller")
  local is_stranger = caller and caller.calls == "anonymous"
  local most = is_stranger and HELD_BYTES.strangers or HELD_BYTES.known
  local over, body
  for chunk in handle:bodyChunks() do
    -- Fetched anew: nothing that was, before a wait, may be used after it.
    local metadata = handle:streamInfo():dynamicMetadata()
    local told = metadata:get("dc1")
    local is_dropped = over or told and told.body and told.body.refusal
    room = room - chunk:length()
    if not is_dropped and caller then
      body = body or begin(handle, is_stranger)
      if hold(body, chunk:length()) > most then over = TOO_MANY end
    end
    if room < 0 and not over then over = TOO_LARGE end
    if over and not is_dropped then metadata:set("dc1", "over", over) end
    if over or is_dropped then chunk:setBytes("") end
  end
  if body then finish(body) end
end
