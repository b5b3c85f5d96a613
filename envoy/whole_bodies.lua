-- Waits for whole bodies and looks at them, for reasons that rest.lua gave: what it refused is answered when its sender has ended,
-- and what it let in is held to its size and to JSON.

-- The transcoder's reader takes more than JSON: single quotes, bare keys, commas before a closing bracket, line breaks in strings,
-- made-up escapes. Outside the strings only numbers, literals and punctuation may stand; the reader itself checks their order. All
-- of it in few passes over the whole: a loop over the strings takes seconds where a body is nothing else.
local function is_strict(bare, strings)
  local _, quotes = bare:gsub('"', "")
  if quotes ~= strings or bare:find(",[ \t\r\n]*[}%]]") then return false end
  if bare:find("%.%D") or bare:find("%D%.") or bare:find("[%[:, \t\r\n]%-?0%d") then return false end
  bare = bare:gsub("true", ""):gsub("false", ""):gsub("null", ""):gsub("%d[eE][+-]?%d", "")
  return not bare:find('[^ \t\r\n"%d%+%-%.:,{}%[%]]')
end

-- Returns JSON with a quote in the place of each string, and their number; nothing where an escape is made up.
local function without_strings(json)
  local text = json:gsub('\\["\\/bfnrtu]', "")
  if text:find("\\", 1, true) then return nil end
  return text:gsub('"[^"%z\1-\31]*"', '"')
end

-- Each value but the outermost is the first in a list or an object, or has a comma before it.
local function has_more_values(bare, most)
  local _, signs = bare:gsub("[,%[{]", "")
  if signs < most then return false end
  local _, empty = bare:gsub("[%[{][ \t\r\n]*[%]}]", "")
  return 1 + signs - empty > most
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
    else
      local bare, strings = without_strings(json)
      if bare and has_more_values(bare, told.body.max_values) then
        refusal = told.body.too_large
      elseif not bare or not is_strict(bare, strings) then
        refusal = told.body.malformed
      end
    end
  end
  if refusal then handle:respond(refusal, "") end
end
