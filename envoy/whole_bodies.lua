-- Waits for whole bodies and looks at them, for reasons that rest.lua gave: what it refused is answered when its sender has ended,
-- and what it let in is held to its size and to JSON.

-- The transcoder's reader takes more than JSON: single quotes, bare keys, commas before a closing bracket, line breaks in strings,
-- made-up escapes. Outside the strings only numbers, literals and punctuation may stand; the reader itself checks their order. All
-- of it in few passes over the whole: a loop over the strings takes seconds where a body is nothing else.
local function is_strict(json)
  local text = json:gsub('\\["\\/bfnrtu]', "")
  if text:find("\\", 1, true) then return false end
  local bare, strings = text:gsub('"[^"%z\1-\31]*"', '"')
  local _, quotes = bare:gsub('"', "")
  if quotes ~= strings or bare:find(",[ \t\r\n]*[}%]]") then return false end
  if bare:find("%.%D") or bare:find("%D%.") or bare:find("[%[:, \t\r\n]%-?0%d") then return false end
  bare = bare:gsub("true", ""):gsub("false", ""):gsub("null", ""):gsub("%d[eE][+-]?%d", "")
  return not bare:find('[^ \t\r\n"%d%+%-%.:,{}%[%]]')
end

function envoy_on_request(handle)
  local told = handle:streamInfo():dynamicMetadata():get("dc1")
  if not told or not told.body then return end
  local body = handle:body()
  told = handle:streamInfo():dynamicMetadata():get("dc1")
  local refusal = told.body.refusal or told.over and told.body[told.over]
  if not refusal and body and told.body.malformed then
    local json = body:getBytes(0, body:length())
    -- The service refuses a call without a key whatever else it says, and to read 10 MB for that takes a second.
    if told.body.body_key and not json:find('"' .. told.body.body_key .. '"', 1, true) then
      body:setBytes("{}")
    elseif not is_strict(json) then
      refusal = told.body.malformed
    end
  end
  if refusal then handle:respond(refusal, "") end
end
