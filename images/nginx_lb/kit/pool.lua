-- The pool inside Nginx: kept in shared memory, written by the watcher, read by every worker.
-- A change is one write of one key, so a request sees the old pool or the new one, never a mixture.

local balancer = require "ngx.balancer"

local pool = ngx.shared.coreos_kit_pool -- "servers", "version", "turn"
local down = ngx.shared.coreos_kit_down -- server -> true, for DOWN_S after it failed

local TRIES = 3 -- servers that one request may be sent to
local DOWN_S = 5 -- how long a server that failed is asked last

local M = {}
local generation = "" -- of the configuration, as rendered
local list, list_version = {}, nil -- this worker's copy of the pool

local function parse(text)
    local servers = {}
    for line in text:gmatch("[^\n]+") do
        local host, port = line:match("^(%d+%.%d+%.%d+%.%d+):(%d+)$")
        if not host then
            return nil
        end
        servers[#servers + 1] = { name = line, host = host, port = tonumber(port) }
    end
    return servers
end

local function store(text)
    local ok, problem = pool:safe_set("servers", text)
    if ok then
        pool:incr("version", 1, 0)
    end
    return ok, problem
end

local function servers()
    -- The version is read first: the servers read after it are at least as new.
    local version = pool:get("version")
    if version ~= list_version then
        list = parse(pool:get("servers") or "") or {}
        list_version = version
    end
    return list
end

-- The next server by turns, one that has not failed just now if there is one.
local function pick(candidates, tried)
    local turn = pool:incr("turn", 1, 0) or 0
    local last_resort
    for offset = 1, #candidates do
        local server = candidates[(turn + offset) % #candidates + 1]
        if not tried[server.name] then
            if not down:get(server.name) then
                return server
            end
            last_resort = last_resort or server
        end
    end
    return last_resort or candidates[turn % #candidates + 1]
end

-- When Nginx starts: serve from the file at once. On a reload the shared memory is still there, and newer.
function M.start(path, rendered_generation)
    generation = rendered_generation
    if pool:get("version") then
        return
    end
    local file = io.open(path, "r")
    local text = file and file:read("*a") or ""
    if file then
        file:close()
    end
    store(parse(text) and text or "")
end

-- Before a request is passed on: nobody there is a 503. What is admitted keeps this pool in hand, for the
-- case that the pool is emptied while the request's body is still coming in.
function M.admit()
    local admitted = servers()
    if #admitted == 0 then
        return ngx.exit(503)
    end
    ngx.ctx.pool_admitted = admitted
end

-- Once for every server that a request is sent to.
function M.balance()
    local ctx = ngx.ctx
    local candidates = servers()
    if #candidates == 0 then
        candidates = ctx.pool_admitted
    end
    if not ctx.pool_tried then
        ctx.pool_tried = {}
        local more = math.min(#candidates, TRIES) - 1
        if more > 0 then
            balancer.set_more_tries(more)
        end
    elseif balancer.get_last_failure() == "failed" then
        down:set(ctx.pool_last, true, DOWN_S)
    end
    local server = pick(candidates, ctx.pool_tried)
    ctx.pool_last = server.name
    ctx.pool_tried[server.name] = true
    local ok, problem = balancer.set_current_peer(server.host, server.port)
    if not ok then
        ngx.log(ngx.ERR, "server ", server.name, " was not taken: ", problem)
        return ngx.exit(ngx.ERROR)
    end
end

-- The watcher's door: PUT sets the pool, GET tells it, one server a line.
function M.control()
    if ngx.req.get_method() == "PUT" then
        ngx.req.read_body()
        local text = ngx.req.get_body_data() or ""
        local wanted = parse(text)
        if not wanted then
            return ngx.exit(400)
        end
        local known = {}
        for _, server in ipairs(servers()) do
            known[server.name] = true
        end
        for _, server in ipairs(wanted) do
            if not known[server.name] then
                down:delete(server.name) -- registered anew: what failed before was another one
            end
        end
        local ok, problem = store(text)
        if not ok then
            ngx.log(ngx.ERR, "the pool was not stored: ", problem)
            return ngx.exit(507)
        end
    end
    ngx.header["X-Generation"] = generation
    ngx.print(pool:get("servers") or "")
end

return M
