-- mPanel's policy for KumoMTA. Written by `manage.py mailserver policy`; changes are overwritten.
--
-- Who may log in and send stands in users.sqlite, which mPanel writes; it is read anew after
-- USERS_TTL at the latest. Keys and dkim_data.toml are watched by KumoMTA itself.
-- https://docs.kumomta.com/userguide/configuration/
local kumo = require 'kumo'
local sqlite = require 'sqlite'
local dkim_sign = require 'policy-extras.dkim_sign'

local DIRECTORY = '{{ directory }}'
local USERS_TTL = '10 seconds'

local dkim_signer = dkim_sign:setup { DIRECTORY .. '/dkim_data.toml' }

kumo.on('init', function()
  kumo.define_spool { name = 'data', path = '{{ spool }}/data' }
  kumo.define_spool { name = 'meta', path = '{{ spool }}/meta' }
  kumo.configure_local_logs { log_dir = '{{ log }}' }
  -- Nobody relays by address: everybody logs in.
  kumo.start_esmtp_listener {
    listen = '{{ listen }}:{{ submission_port }}',
    hostname = '{{ host }}',
    relay_hosts = {},
    tls_certificate = '{{ certificate }}',
    tls_private_key = '{{ private_key }}',
  }
  kumo.start_http_listener { listen = '{{ admin_listen }}', trusted_hosts = { '127.0.0.1', '::1' } }
  kumo.set_config_monitor_globs {
    DIRECTORY .. '/*.lua',
    DIRECTORY .. '/*.toml',
    DIRECTORY .. '/dkim/**/*.key',
  }
end)

-- The row of a login, as plain values; `found` is false for nobody.
local function read_user(email)
  local db = sqlite.open(DIRECTORY .. '/users.sqlite', 1000)
  local rows = db:execute(
    'SELECT salt, mac, tenant, active, daily_limit, refusal FROM user WHERE email = ?',
    email
  )
  if type(rows) ~= 'table' or #rows ~= 1 then
    return { found = false }
  end
  local row = rows[1]
  return {
    found = true,
    salt = row.salt,
    mac = row.mac,
    tenant = row.tenant,
    active = row.active == 1,
    daily_limit = row.daily_limit,
    refusal = row.refusal,
  }
end

local user = kumo.memoize(read_user, { name = 'mpanel_user', ttl = USERS_TTL, capacity = 10000 })

-- Both have the length of a SHA-256 in hex; no byte tells how many were right.
local function same(one, other)
  if #one ~= #other then
    return false
  end
  local differs = 0
  for at = 1, #one do
    if one:byte(at) ~= other:byte(at) then
      differs = differs + 1
    end
  end
  return differs == 0
end

kumo.on('smtp_server_auth_plain', function(authz, authc, password)
  local email = string.lower(authc)
  if password == '' or string.lower(authz) ~= email then
    return false
  end
  local found = user(email)
  if not found.found or not found.active then
    return false
  end
  return same(kumo.digest.hmac_sha256({ key_data = found.salt }, password).hex, found.mac)
end)

-- Called for each recipient of a message, so a limit counts recipients.
kumo.on('smtp_server_message_received', function(msg)
  local login = msg:get_meta 'authn_id'
  if not login then
    kumo.reject(530, '5.7.0 Log in first')
  end
  local email = string.lower(login)
  local found = user(email)
  if not found.found or not found.active then
    kumo.reject(550, '5.7.1 This mailbox may not send')
  end
  if found.refusal ~= '' then
    kumo.reject(550, '5.7.1 ' .. found.refusal)
  end
  if string.lower(tostring(msg:sender())) ~= email then
    kumo.reject(553, '5.7.1 Sender address rejected: not owned by user ' .. email)
  end
  local from = msg:from_header()
  if not from or string.lower(from.email) ~= email then
    kumo.reject(550, '5.7.1 The From header must be the address that logged in')
  end
  local limit = kumo.make_throttle('mpanel-day-' .. email, found.daily_limit .. '/day')
  if found.daily_limit < 1 or limit:throttle().throttled then
    kumo.reject(450, '4.7.1 The daily limit of this mailbox is reached')
  end
  msg:set_meta('tenant', found.tenant)
  -- Last, so that nothing changes what was signed.
  dkim_signer(msg)
end)

-- Nothing is injected over HTTP.
kumo.on('http_message_generated', function(msg)
  kumo.reject(550, '5.7.1 Send by SMTP')
end)
