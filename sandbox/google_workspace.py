"""What the stand-in for Google Workspace knows and allows: a service account, domains, users.

An administrator is called `admin@` something; each such address has a customer account of its own,
and the one service account of the sandbox may act for all of them.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import sqlite3
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dns.rdatatype import RdataType

from .store import Store
from .world import World

KEY_FILE = "google-service-account.json"
CLIENT_EMAIL = "mpanel@sandbox-project.iam.gserviceaccount.com"
CLIENT_ID = "104857600000000000001"
DEMO_ADMIN = "admin@workspace.test"
AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever address a token is asked at
USERS = "https://www.googleapis.com/auth/admin.directory.user"
DOMAINS = "https://www.googleapis.com/auth/admin.directory.domain"
SITES = "https://www.googleapis.com/auth/siteverification"
DELEGATED = frozenset({USERS, DOMAINS, SITES})
TOKEN_LASTS = 3600
CLOCK_SKEW = 60  # seconds
HELD = 20 * 24 * 3600  # seconds that a deleted user keeps its address and its seat
LONGEST_NAME = 60

_USERNAME = re.compile(r"[a-z0-9_'-](?:[a-z0-9._'-]{0,62}[a-z0-9_'-])?", re.IGNORECASE)
_ADMIN = re.compile(r"admin@([a-z0-9-]+(?:\.[a-z0-9-]+)+)", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")


class GoogleError(Exception):
    """An answer in Google's envelope."""

    def __init__(self, status: int, reason: str, message: str, *, domain: str = "global") -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.domain = status, reason, message, domain

    def as_json(self) -> dict[str, Any]:
        one = {"message": self.message, "domain": self.domain, "reason": self.reason}
        return {"error": {"code": self.status, "message": self.message, "errors": [one]}}


class TokenRefused(Exception):
    """The endpoint for tokens says no, in OAuth's words."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error, self.description = error, description


@dataclass(frozen=True, kw_only=True)
class Grant:
    """What an access token allows: as which administrator, of which customer."""

    admin: str
    customer: str
    scopes: frozenset[str]
    until: float


def make_service_account(directory: Path) -> dict[str, str]:
    """The service account's file, as Google's console gives it; made once and then kept."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    path = directory / KEY_FILE
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "sandbox-project",
            "private_key_id": secrets.token_hex(20),
            "private_key": pem.decode("ascii"),
            "client_email": CLIENT_EMAIL,
            "client_id": CLIENT_ID,
            "token_uri": AUDIENCE,
            "universe_domain": "googleapis.com",
        }
        fresh = path.with_name(f"{KEY_FILE}.{os.getpid()}")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(account, indent=2))
        fresh.replace(path)
    found: dict[str, str] = json.loads(path.read_text())
    return found


class GoogleWorkspace:
    """All customers, their domains and users. `mailbox_delay`: seconds until a mailbox is set up;
    `seats`: users that a customer may have, 0 for any number.
    """

    def __init__(self, store: Store, world: World, directory: Path) -> None:
        self._store = store
        self._world = world
        self._directory = directory
        self._grants: dict[str, Grant] = {}
        self.mailbox_delay = 0.0
        self.seats = 0

    @cached_property
    def service_account(self) -> dict[str, str]:
        """Made when first asked for, since making a key takes a while."""
        return make_service_account(self._directory)

    @cached_property
    def _public_key(self) -> Any:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        pem = self.service_account["private_key"].encode()
        return load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True).public_key()

    def reset(self) -> None:
        self._grants.clear()
        self.mailbox_delay, self.seats = 0.0, 0

    # Tokens

    def token_for(self, assertion: str) -> tuple[str, int]:
        """An access token for a signed assertion, and its seconds. Raises `TokenRefused`."""
        claims = self._verified(assertion)
        if claims.get("iss") != self.service_account["client_email"]:
            raise TokenRefused("invalid_grant", "Invalid grant: account not found")
        now = time.time()
        issued, expires = claims.get("iat"), claims.get("exp")
        if not (isinstance(issued, int) and isinstance(expires, int)) or not (
            issued - CLOCK_SKEW <= now < expires <= issued + TOKEN_LASTS
        ):
            raise TokenRefused("invalid_grant", "Invalid JWT: Token must be a short-lived token")
        if claims.get("aud") != AUDIENCE:
            raise TokenRefused("invalid_grant", "Invalid JWT: Failed audience check.")
        scopes = frozenset(str(claims.get("scope", "")).split())
        if not scopes or not scopes <= DELEGATED:
            raise TokenRefused(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client "
                "not authorized for any of the scopes requested.",
            )
        admin = str(claims.get("sub", ""))
        named = _ADMIN.fullmatch(admin)
        if not named:
            raise TokenRefused("invalid_grant", "Invalid email or User ID")
        token = f"ya29.{secrets.token_urlsafe(32)}"
        self._grants[token] = Grant(
            admin=admin, customer=named[1].lower(), scopes=scopes, until=now + TOKEN_LASTS
        )
        return token, TOKEN_LASTS - 1

    def _verified(self, assertion: str) -> dict[str, Any]:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        signed, _, signature = assertion.rpartition(".")
        try:
            header, body = (json.loads(_decoded(part)) for part in signed.split("."))
            if header.get("alg") != "RS256":
                raise ValueError(header)
            self._public_key.verify(
                _decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except (ValueError, AttributeError, InvalidSignature) as error:
            raise TokenRefused("invalid_grant", "Invalid JWT Signature.") from error
        claims: dict[str, Any] = body
        return claims

    def grant_of(self, header: str) -> Grant:
        """What a request may do. Raises `GoogleError` 401."""
        grant = self._grants.get(header.removeprefix("Bearer ").strip())
        if grant is None or grant.until <= time.time():
            raise GoogleError(401, "authError", "Invalid Credentials")
        return grant

    # Domains

    def domains(self, customer: str) -> list[sqlite3.Row]:
        return self._store.rows(
            "SELECT * FROM google_domain WHERE customer = ? ORDER BY name", customer
        )

    def domain(self, customer: str, name: str) -> sqlite3.Row:
        row = self._store.row(
            "SELECT * FROM google_domain WHERE customer = ? AND name = ?", customer, name.lower()
        )
        if row is None:
            raise GoogleError(404, "notFound", "Domain not found.")
        return row

    def insert_domain(self, customer: str, name: str) -> sqlite3.Row:
        name = name.lower()
        if not _DOMAIN.fullmatch(name):
            raise GoogleError(400, "invalid", "Invalid Input: domain_name")
        if self._store.row("SELECT 1 FROM google_domain WHERE name = ?", name):
            raise GoogleError(409, "duplicate", "Entity already exists.")
        self._store.write(
            "INSERT INTO google_domain VALUES (?, ?, 0, ?)", name, customer, time.time()
        )
        return self.domain(customer, name)

    def delete_domain(self, customer: str, name: str) -> None:
        row = self.domain(customer, name)
        if any(user["domain"] == row["name"] for user in self.users(customer)):
            raise GoogleError(412, "conditionNotMet", "The domain still has users.")
        self._store.write("DELETE FROM google_domain WHERE name = ?", row["name"])

    def site_token(self, customer: str, name: str) -> str:
        digest = hashlib.sha256(f"{customer}/{name}".encode()).digest()
        text = base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
        return f"google-site-verification={text}"

    def verify_site(self, customer: str, name: str) -> None:
        """Look for the token in the DNS. Raises `GoogleError` 400 while it is not there."""
        answer, _ = self._world.resolve(name, RdataType.TXT, time.time())
        wanted = self.site_token(customer, name).encode()
        found = {
            b"".join(rdata.strings)
            for rrset in answer.answer
            if rrset.rdtype == RdataType.TXT
            for rdata in rrset
        }
        if wanted not in found:
            raise GoogleError(
                400,
                "badRequest",
                "The necessary verification token could not be found on your site.",
            )
        self.believe(customer, name)

    def believe(self, customer: str, name: str) -> None:
        """A domain is the customer's from now on."""
        self._store.write(
            "UPDATE google_domain SET verified = 1 WHERE customer = ? AND name = ?", customer, name
        )

    # Users

    def users(self, customer: str = "", *, deleted: bool = False) -> list[sqlite3.Row]:
        """The users of a customer, or of all, by address: those there are, or the deleted ones."""
        return self._store.rows(
            "SELECT * FROM google_user WHERE ? IN ('', customer) AND (deleted_on IS NOT NULL) = ?"
            " ORDER BY email",
            customer,
            deleted,
        )

    def user(self, customer: str, key: str) -> sqlite3.Row:
        """A user by id, address or alias. Raises `GoogleError` as Google does."""
        wanted = key.lower()
        for row in self.users(customer):
            if wanted in {row["id"], row["email"], *json.loads(row["aliases"])}:
                return row
        if "@" in wanted:
            self._own_domain(customer, wanted)
        raise GoogleError(404, "notFound", "Resource Not Found: userKey")

    def insert_user(self, customer: str, body: dict[str, Any]) -> sqlite3.Row:
        email = body.get("primaryEmail")
        local, _, domain = email.lower().rpartition("@") if isinstance(email, str) else ("",) * 3
        if not _USERNAME.fullmatch(local) or ".." in local:
            raise GoogleError(400, "invalid", "Invalid Input: primary_user_email")
        if not self._own_domain(customer, f"{local}@{domain}")["verified"]:
            raise GoogleError(412, "conditionNotMet", "Domain is not verified.")
        fields = _user_fields(body)
        if {"given", "family"} - set(fields) or not isinstance(body.get("password"), str):
            raise GoogleError(400, "required", "Missing required field: name and password")
        self._check_free(f"{local}@{domain}")
        held = self.users(customer) + self.users(customer, deleted=True)
        if self.seats and len(held) >= self.seats:
            raise GoogleError(412, "limitExceeded", "Domain user limit reached.")
        user_id = str(uuid.uuid4().int)[:21]
        self._store.write(
            "INSERT INTO google_user (id, customer, domain, email, created_on, given, family)"
            " VALUES (?, ?, ?, ?, ?, '', '')",
            user_id,
            customer,
            domain,
            f"{local}@{domain}",
            time.time(),
        )
        return self._changed(user_id, fields)

    def change_user(self, customer: str, key: str, body: dict[str, Any]) -> sqlite3.Row:
        row = self.user(customer, key)
        fields = _user_fields(body)
        email = body.get("primaryEmail")
        if isinstance(email, str) and email.lower() != row["email"]:
            self._own_domain(customer, email.lower())
            self._check_free(email.lower())
            fields["email"] = email.lower()
            fields["aliases"] = json.dumps([*json.loads(row["aliases"]), row["email"]])
        return self._changed(row["id"], fields)

    def delete_user(self, customer: str, key: str) -> None:
        row = self.user(customer, key)
        self._changed(row["id"], {"deleted_on": time.time()})

    def undelete_user(self, customer: str, user_id: str) -> None:
        for row in self.users(customer, deleted=True):
            if row["id"] == user_id:
                self._changed(user_id, {"deleted_on": None})
                return
        raise GoogleError(404, "notFound", "Resource Not Found: userKey")

    def insert_alias(self, customer: str, key: str, alias: str) -> None:
        row = self.user(customer, key)
        self._own_domain(customer, alias.lower())
        self._check_free(alias.lower())
        aliases = json.dumps([*json.loads(row["aliases"]), alias.lower()])
        self._changed(row["id"], {"aliases": aliases})

    def act(self, action: str, email: str, how: str = "") -> None:
        """What an administrator, or Google itself, does to a user. Raises `GoogleError`."""
        if action == "make":
            body = {"primaryEmail": email, "password": "somebody else's"}
            name = {"givenName": "Some", "familyName": "Body"}
            domain = self._store.row(
                "SELECT customer FROM google_domain WHERE name = ?", email.rpartition("@")[2]
            )
            self.insert_user(domain["customer"] if domain else "", {**body, "name": name})
            return
        everybody = self.users() + self.users(deleted=True)
        row = next((row for row in everybody if row["email"] == email), None)
        if row is None:
            raise GoogleError(404, "notFound", "Resource Not Found: userKey")
        match action:
            case "suspend":
                reason = how or "ADMIN"
                self._changed(row["id"], {"suspended": True, "suspension_reason": reason})
            case "delete":
                self._changed(row["id"], {"deleted_on": time.time()})
            case "purge":
                self._store.write("DELETE FROM google_user WHERE id = ?", row["id"])
            case "rename":
                self.change_user(row["customer"], row["id"], {"primaryEmail": how})
            case _:
                raise GoogleError(400, "invalid", "action: suspend, delete, purge, rename, make")

    def _own_domain(self, customer: str, email: str) -> sqlite3.Row:
        """The domain of an address. Google does not say whether it is another customer's."""
        try:
            return self.domain(customer, email.rpartition("@")[2])
        except GoogleError:
            raise GoogleError(
                403, "forbidden", "Not Authorized to access this resource/api"
            ) from None

    def _check_free(self, email: str) -> None:
        for row in self.users() + self.users(deleted=True):
            held = row["deleted_on"] is None or row["deleted_on"] > time.time() - HELD
            if held and email in {row["email"], *json.loads(row["aliases"])}:
                raise GoogleError(409, "duplicate", "Entity already exists.")

    def _changed(self, user_id: str, fields: dict[str, Any]) -> sqlite3.Row:
        for name, value in fields.items():  # names are ours, see `_user_fields`
            self._store.write(f"UPDATE google_user SET {name} = ? WHERE id = ?", value, user_id)  # noqa: S608
        row = self._store.row("SELECT * FROM google_user WHERE id = ?", user_id)
        assert row is not None
        return row


def _user_fields(body: dict[str, Any]) -> dict[str, Any]:
    """The columns that a request changes. Raises `GoogleError` 400."""
    fields: dict[str, Any] = {}
    name = body.get("name", {})
    for key, column in (("givenName", "given"), ("familyName", "family")):
        if key in name:
            if not isinstance(name[key], str) or not 0 < len(name[key]) <= LONGEST_NAME:
                raise GoogleError(400, "invalid", f"Invalid Given/Family Name: {key}")
            fields[column] = name[key]
    if "password" in body:
        password = body["password"]
        if not isinstance(password, str) or not 8 <= len(password) <= 100:
            raise GoogleError(400, "invalid", "Invalid Password")
        # Kept only so far that a test can tell whether a password is the present one.
        fields["password"] = hashlib.sha256(password.encode()).hexdigest()
    if "suspended" in body:
        fields["suspended"] = bool(body["suspended"])
        fields["suspension_reason"] = "ADMIN" if body["suspended"] else None
    if "externalIds" in body:
        fields["external_ids"] = json.dumps(body["externalIds"] or [])
    if "orgUnitPath" in body:
        if not str(body["orgUnitPath"]).startswith("/"):
            raise GoogleError(400, "invalid", "Invalid Input: INVALID_OU_ID")
        fields["unit"] = str(body["orgUnitPath"])
    return fields


def user_as_json(row: sqlite3.Row, mailbox_delay: float) -> dict[str, Any]:
    """A user as Google shows it; fields without a value are left out."""
    shown = {
        "kind": "admin#directory#user",
        "id": row["id"],
        "primaryEmail": row["email"],
        "name": {
            "givenName": row["given"],
            "familyName": row["family"],
            "fullName": f"{row['given']} {row['family']}",
        },
        "isAdmin": False,
        "suspended": bool(row["suspended"]),
        "suspensionReason": row["suspension_reason"],
        "creationTime": _time(row["created_on"]),
        "deletionTime": _time(row["deleted_on"]) if row["deleted_on"] else None,
        "customerId": _customer_id(row["customer"]),
        "orgUnitPath": row["unit"],
        "isMailboxSetup": row["created_on"] + mailbox_delay <= time.time(),
        "aliases": json.loads(row["aliases"]) or None,
        "externalIds": json.loads(row["external_ids"]) or None,
        "agreedToTerms": False,
    }
    return {name: value for name, value in shown.items() if value is not None}


def domain_as_json(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "kind": "admin#directory#domain",
        "domainName": row["name"],
        "isPrimary": row["name"] == row["customer"],
        "verified": bool(row["verified"]),
        "creationTime": str(int(row["created_on"] * 1000)),
    }


def _customer_id(customer: str) -> str:
    return f"C{hashlib.sha256(customer.encode()).hexdigest()[:8]}"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
