"""What the schema shows of accounts, sessions and keys, and under which headings."""

ACCOUNTS, KEYS, TRIAL = "Accounts and sessions", "API keys", "Trial and plan"

PAIR = {
    "access_token": "eyJhbGciOiJIUzI1NiIs...",
    "refresh_token": "eyJhbGciOiJIUzI1NiIs...",
    "token_type": "Bearer",
    "expires_in": 900,
}
EXAMPLE_USER = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11",
    "email": "ada@example.com",
    "name": "Ada",
    "created_at": "2026-11-21T09:00:00Z",
}


EXAMPLE_SESSION = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b14",
    "kind": "browser",
    "device": "Firefox on Linux",
    "address": "192.0.2.7",
    "created_at": "2026-11-21T09:00:00Z",
    "last_used_at": "2026-11-21T09:40:00Z",
    "expires_at": "2026-12-05T09:40:00Z",
    "current": True,
}
EXAMPLE_PROFILE = {
    **EXAMPLE_USER,
    "avatar": "",
    "preferences": {"theme": "dark"},
    "role": "owner",
    "organisation": "example.com",
    "second_factor": False,
}
EXAMPLE_KEY = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b15",
    "name": "CI",
    "prefix": "mpk_k3J9sQ0aTz",
    "scopes": ["domains:read", "mailboxes:write"],
    "allowed_networks": ["192.0.2.0/24"],
    "owner": "ada@example.com",
    "created_at": "2026-11-21T09:00:00Z",
    "expires_at": None,
    "last_used_at": None,
}
EXAMPLE_PANEL_USER = {
    "id": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b11",
    "name": "Ada",
    "email": "ada@example.com",
    "roles": ["owner"],
    "tenantId": "01994f2c-6a70-7c3e-9d0a-1f6f2f0a6b10",
}
EXAMPLE_TRIAL = {
    "active": True,
    "daysLeft": 6,
    "plan": "professional",
    "expiresAt": "2026-11-28T09:00:00Z",
    "plan_limits": {"max_inboxes": 50, "max_domains": 5},
}
