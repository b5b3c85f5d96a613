-- Paths and queries: what of them may be logged, where keys stand in them, and what is left when those are out.

local API = require("gen.edge")

local function percent_decode(text)
  return (text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

local function is_utf8(text)
  if not text:find("[\128-\255]") then return true end
  local rest = text
    :gsub("[\194-\223][\128-\191]", " ")
    :gsub("\224[\160-\191][\128-\191]", " ")
    :gsub("\237[\128-\159][\128-\191]", " ")
    :gsub("[\225-\236\238\239][\128-\191][\128-\191]", " ")
    :gsub("\240[\144-\191][\128-\191][\128-\191]", " ")
    :gsub("[\241-\243][\128-\191][\128-\191][\128-\191]", " ")
    :gsub("\244[\128-\143][\128-\191][\128-\191]", " ")
  return not rest:find("[\128-\255]")
end

-- An undecodable URL would reach the service as a message that it cannot parse.
local function is_decodable(url)
  return not url:gsub("%%%x%x", ""):find("%", 1, true) and is_utf8(percent_decode(url))
end

-- The path as it may be logged: a key that was put into it is masked.
local function loggable(path)
  -- Cut after masking, so that no half of a key is left: a path may have 60 KB, and a line twice that.
  return percent_decode(path):gsub("(dc1%-%a+%-)[%w_-]+", "%1***"):sub(1, 512)
end

local function starts_with_any(path, patterns)
  for _, pattern in ipairs(patterns) do
    if path:find(pattern) then return true end
  end
  return false
end

-- Some routes exist at the root only, so a prefix before them stays and the path is unknown.
local function without_base_path(path)
  for _, prefixed in ipairs(API.base_paths) do
    local bare = path:match(prefixed)
    if bare then return starts_with_any(bare, API.root_only) and path or bare end
  end
  return path
end

-- What a query names, apart from what is no name of ours: the transcoder drops what the method does not take, and a list has to refuse it.
local function names_of(query)
  local names = {}
  for name in ("&" .. query):gmatch("&([%a_]+)") do
    names[#names + 1] = name
    if #names == 32 then break end
  end
  return table.concat(names, ",")
end

-- Moves keys from the query into headers; returns what is left of the query and whether there was one.
local function take_query_keys(query, headers)
  local kept, found = {}, false
  for pair in query:gmatch("[^&]+") do
    local name, value = pair:match("^([^=]*)=?(.*)$")
    local header = API.query_keys[percent_decode(name)]
    if not header then
      kept[#kept + 1] = pair
    else
      found = true
      -- No key has other characters, and a line break must not become a header of its own.
      value = percent_decode((value:gsub("%+", " "))):gsub("[^\32-\126]", "?")
      if not headers:get(header) and value:find("%S") then headers:add(header, value) end
    end
  end
  return table.concat(kept, "&"), found
end

-- Older daemons put their key in the place of an id, as in GET /providers/{api_key}/jobs. It is moved into a header; with a Bearer
-- the call is the poll for work, without one a list that hands out nothing. Returns the path that is left and whether there was one.
local function take_path_key(path, headers)
  for _, place in ipairs(API.keys_in_path) do
    local segment = path:match(place.path)
    if segment and segment ~= "me" and not segment:find("^%d+$") then
      local key = percent_decode(segment):gsub("[^\32-\126]", "?")
      if not headers:get(place.header) then headers:add(place.header, key) end
      local has_bearer = (headers:get("authorization") or ""):lower():find("^bearer ") ~= nil
      return has_bearer and place.bearer_path or place.plain_path, true
    end
  end
  return path, false
end

return {
  is_decodable = is_decodable, loggable = loggable, without_base_path = without_base_path,
  names_of = names_of, take_query_keys = take_query_keys, take_path_key = take_path_key,
}
