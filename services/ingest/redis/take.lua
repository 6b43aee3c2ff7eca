-- Gives the holder of the lease the next entries: what is pending, whoever has it, and only where nothing is, new ones. So
-- nothing is passed over, also where an answer is lost, and nobody reads without the lease.
-- KEYS: the stream, the lease. ARGV: holder, lease in ms, group, consumer, most entries, most bytes.
local stream, group, consumer = KEYS[1], ARGV[3], ARGV[4]
local most, room = tonumber(ARGV[5]), tonumber(ARGV[6])
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
	return redis.error_reply('LOST the lease: another process reads the stream')
end
-- Also where it has run out: if another one had it meanwhile, Kafka takes nothing from this one.
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])

local entries, gone = {}, {}
local function add(list)
	for _, entry in ipairs(list) do
		entries[#entries + 1] = entry
		for _, text in ipairs(entry[2]) do
			room = room - #text
		end
	end
end
-- A few at a time: how large they are is known only then.
local function step()
	return math.min(10, most - #entries)
end

local cursor = '0-0'
repeat
	local claimed = redis.call('XAUTOCLAIM', stream, group, consumer, 0, cursor, 'COUNT', step())
	cursor = claimed[1]
	add(claimed[2])
	for _, id in ipairs(claimed[3] or {}) do
		gone[#gone + 1] = id
	end
until cursor == '0-0' or step() < 1 or room <= 0

local function fields(list)
	local map = {}
	for i = 1, #list, 2 do
		map[list[i]] = list[i + 1]
	end
	return map
end
local last, missed, lag = '0-0', 0, -1
local whole = fields(redis.call('XINFO', 'STREAM', stream))
if not whole['entries-added'] then
	return redis.error_reply('TOOOLD this Redis does not count entries: it must be 7.0 or later')
end
for _, reply in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
	local own = fields(reply)
	if own['name'] == group then
		last = own['last-delivered-id']
		local removed, read = whole['entries-added'] - whole['length'], own['entries-read']
		if read and read < removed then
			missed, read = removed - read, removed
			redis.call('XGROUP', 'SETID', stream, group, last, 'ENTRIESREAD', read) -- told once
		end
		if read then
			lag = whole['entries-added'] - read
		end
	end
end

if #entries == 0 then
	local new
	repeat
		local asked = step()
		new = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', asked, 'STREAMS', stream, '>')
		if new then
			add(new[1][2])
		end
	until not new or #new[1][2] < asked or step() < 1 or room <= 0
end
return { entries, gone, last, missed, lag }
