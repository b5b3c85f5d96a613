-- Waits for whole bodies and looks at them, for reasons that rest.lua gave: what it refused is answered when its sender has ended,
-- and what it let in is held to its size and to JSON.

-- What stands outside of strings for one value, at most: a number, a name's colon, brackets, and the spaces between them.
local BARE_BYTES = 32

-- The transcoder's reader takes more than JSON: single quotes, bare keys, commas before a closing bracket, line breaks in strings,
-- made-up escapes. Outside the strings only numbers, literals and punctuation may stand; the reader itself checks their order. All
-- of it in few passes over what is left when every run of spaces and digits is short: a pass costs 20 ns a character.
local function is_strict(text, most)
  local bare, strings = text, 0
  if text:find('"', 1, true) then bare, strings = text:gsub('"[^"%z\1-\31]*"', '"') end
  -- No literal is so long, and nothing of so few values is.
  if bare:find("%a%a%a%a%a%a") then return false end
  bare = bare:gsub("[ \t\r\n]+", " "):gsub("(%d%d)%d+", "%1")
  if #bare > BARE_BYTES * most then return false end
  local _, quotes = bare:gsub('"', "")
  if quotes ~= strings or bare:find(",[ \t\r\n]*[}%]]") then return false end
  if bare:find("%.%D") or bare:find("%D%.") or bare:find("[%[:, \t\r\n]%-?0%d") then return false end
  bare = bare:gsub("true", ""):gsub("false", ""):gsub("null", ""):gsub("%d[eE][+-]?%d", "")
  return not bare:find('[^ \t\r\n"%d%+%-%.:,{}%[%]]')
end

-- Returns JSON without its escapes, nothing where one is made up.
local function without_escapes(json)
  if not json:find("\\", 1, true) then return json end
  local text = json:gsub('\\["\\/bfnrtu]', "")
  return not text:find("\\", 1, true) and text or nil
end

-- Tells whether there are more values than that, as soon as it is known: each but the outermost is the first in a list or an object,
-- or has a comma before it.
local function has_more_values(text, most)
  local signs, strings, at = 0, 0, 1
  while true do
    local found = text:find('[",%[{]', at)
    if not found then return false end
    local sign = text:sub(found, found)
    if sign == '"' then
      strings = strings + 1
      -- A name and a value at most of each.
      if strings > 2 * most then return true end
      -- One without an end is for is_strict to refuse.
      found = text:find('"', found + 1, true)
      if not found then return false end
    elseif sign == "," or not text:find("^[ \t\r\n]*[%]}]", found + 1) then
      signs = signs + 1
      if 1 + signs > most then return true end
    end
    at = found + 1
  end
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
      local text = without_escapes(json)
      if text and has_more_values(text, told.body.max_values) then
        refusal = told.body.too_large
      elseif not text or not is_strict(text, told.body.max_values) then
        refusal = told.body.malformed
      end
    end
  end
  if refusal then handle:respond(refusal, "") end
end
