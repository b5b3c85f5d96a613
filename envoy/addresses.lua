-- Addresses of clients, as limits count them.

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

return { counted_as = counted_as }
