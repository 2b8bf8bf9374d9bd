"""Google Workspace: the Directory API and the Site Verification API, by a service account.

https://developers.google.com/workspace/admin/directory/reference/rest/v1 and
https://developers.google.com/site-verification/v1. The service account acts as an administrator of
the customer (https://support.google.com/a/answer/162106); see `google_tokens.py`.
"""

import http.client
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, ClassVar

import google.auth.exceptions
import httplib2
from google_auth_httplib2 import AuthorizedHttp
from googleapiclient.discovery import build
from googleapiclient.errors import Error as ClientError
from googleapiclient.errors import HttpError

from mailboxes.providers.google_tokens import (
    Token,
    service_account_problem,
    silence,
    token_for,
    transport,
)
from mailservers.providers.base import (
    AccountState,
    DomainClaim,
    DomainDirectory,
    Login,
    LoginCheck,
    LoginSettings,
    MailProvider,
    Outcome,
    WantedAccount,
)
from mpanel.core.addresses import clean_address
from mpanel.core.errors import ProviderError
from mpanel.core.registry import CredentialField, provider

AT_ONCE = 5
OUR_MARK = "mpanel"  # the custom type of an external id that says whose account it is
# Google takes no empty names, and none over sixty characters.
LONGEST_NAME = 60
RATE_REASONS = frozenset({"userRateLimitExceeded", "rateLimitExceeded", "quotaExceeded"})
DEFAULT_WAIT = 10.0  # seconds after a rate limit that says nothing

SEATS = "Google has no free licence for another account. Add licences there, then retry."
NOT_VERIFIED = "Google does not know yet that {domain} is yours. Attach the domain, then retry."
NOT_THERE = "{domain} is not a domain of this Google Workspace. Attach the domain, then retry."
FORBIDDEN = "Google does not allow this to the administrator {admin}."
TAKEN = "Google has another account or alias called {email}. Choose another name."
HELD = (
    "An account called {email} was deleted at Google less than 20 days ago, and Google keeps its "
    "name for that long. Restore it there, wait, or choose another name."
)
RENAMED = "Google has this account under another address, {found}. Give it back its name there."
STOPPED = "Google itself suspended {email} ({reason}). See its page in Google's admin console."

Json = dict[str, Any]


@provider("mail")
class GoogleWorkspace(DomainDirectory, MailProvider):
    """One customer's Google Workspace. Accounts are found by our mark in their external ids."""

    key: ClassVar[str] = "google-workspace"
    label: ClassVar[str] = "Google Workspace"
    platform: ClassVar[str] = "google-workspace"
    verified_by: ClassVar[str] = "in Google's directory"
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            "service_account_json",
            "Service account key (JSON)",
            secret=True,
            is_long=True,
            check=service_account_problem,
            help="The key file of a service account with domain-wide delegation for the scopes "
            "admin.directory.user, admin.directory.domain and siteverification.",
        ),
        CredentialField(
            "admin_email",
            "Administrator",
            clean=clean_address,
            help="The e-mail address of the administrator for whom the service account acts.",
        ),
    )

    def __init__(
        self,
        credentials: Mapping[str, str],
        *,
        directory_url: str,
        verification_url: str,
        token_url: str,
        timeout: float,
        names_admin: bool = True,
    ) -> None:
        """`names_admin`: whether errors may tell who the administrator is."""
        self._credentials = credentials
        self._named = self._admin if names_admin else "of this account"
        self._urls = {"admin": directory_url, "siteVerification": verification_url}
        self._token_url = token_url
        self._timeout = timeout
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._threads = threading.local()  # httplib2 is for one thread

    def __repr__(self) -> str:
        return "<GoogleWorkspace>"

    def check_connection(self) -> str:
        """Prove that the service account may act. Returns a sentence that names the domains."""
        domains = self._ask(self._directory.domains().list(customer="my_customer"))
        self._ask(self._directory.users().list(customer="my_customer", maxResults=1))
        names = [domain["domainName"] for domain in domains.get("domains", [])]
        shown = ", ".join(sorted(names)[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"Acts for {self._admin} in Google Workspace ({shown or 'no domains yet'}{more})."

    def login_settings(self) -> LoginSettings:
        """https://support.google.com/a/answer/9003945."""
        return LoginSettings(
            smtp_host="smtp.gmail.com",
            smtp_port=587,
            imap_host="imap.gmail.com",
            imap_port=993,
        )

    def verify_logins(
        self,
        logins: Sequence[Login],
        *,
        parallel: int = AT_ONCE,
        on_result: Callable[[LoginCheck], None],
    ) -> list[LoginCheck]:
        """Ask the directory whether each account exists, is not suspended, and has its mailbox.

        Google refuses passwords of accounts over SMTP and IMAP (docs/decisions/0016), so no login
        is tried, and `imap` is None.
        """
        checks: dict[int, LoginCheck] = {}
        with ThreadPoolExecutor(min(parallel, AT_ONCE)) as pool:
            tries = {pool.submit(self._verify, login.email): at for at, login in enumerate(logins)}
            try:
                for done in as_completed(tries):
                    checks[tries[done]] = done.result()
                    on_result(done.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return [checks[at] for at in range(len(logins))]

    def _verify(self, email: str) -> LoginCheck:
        try:
            user = self._find(email)
        except ProviderError as error:
            outcome: Outcome = "unknown" if error.retryable else "missing"
            return LoginCheck(email, outcome, None, error.message)
        if user is None or user["primaryEmail"].lower() != email.lower():
            return LoginCheck(email, "missing", None, f"Google's directory has no account {email}.")
        if user.get("suspended"):
            return LoginCheck(
                email, "missing", None, f"Google's directory has {email} as suspended."
            )
        if not user.get("isMailboxSetup"):
            return LoginCheck(email, "unknown", None, f"Google is still setting up {email}.")
        return LoginCheck(email, "matches", None)

    # Accounts

    def observe_accounts(self, wanted: Sequence[WantedAccount]) -> list[AccountState]:
        """As the port says, five at a time. A present password cannot be seen, so it always is."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._observe, wanted))

    def _observe(self, wanted: WantedAccount) -> AccountState:
        return _compared(wanted, self._user(wanted))

    def apply_account(self, wanted: WantedAccount) -> AccountState:
        """As the port says. An account with our mark is ours, and is made as wanted."""
        user = self._user(wanted)
        state = _compared(wanted, user)
        if state.outcome == "conflicts":
            return state
        try:
            if user is None:
                return self._insert(wanted) if wanted.is_present else state
            return self._change(wanted, user, state)
        except _Refusal as refusal:
            return _conflict(wanted, refusal.code, refusal.sentence, user)

    def _insert(self, wanted: WantedAccount) -> AccountState:
        if not wanted.password:
            return _conflict(wanted, "UNKNOWN_ERROR", "This account is gone at Google.", None)
        body = {
            "primaryEmail": wanted.email,
            "name": _name(wanted),
            "password": wanted.password,
            "orgUnitPath": wanted.organization_unit,
            "externalIds": [_mark(wanted)],
        }
        try:
            user = self._call(self._directory.users().insert(body=body), wanted)
        except _Refusal as refusal:
            if refusal.code != "USER_ALREADY_EXISTS":
                raise
            # Perhaps it was made by a call of ours whose answer never came.
            return self._adopt(wanted)
        if not wanted.may_log_in:
            return self._change(wanted, user, _compared(wanted, user))
        return AccountState(email=wanted.email, outcome="matches", remote_id=user["id"])

    def _adopt(self, wanted: WantedAccount) -> AccountState:
        user = self._find(wanted.email)
        if user is not None:
            state = _compared(wanted, user)
            return state if state.outcome == "conflicts" else self._change(wanted, user, state)
        domain = wanted.email.rpartition("@")[2]
        deleted = self._ask(
            self._directory.users().list(
                domain=domain, showDeleted="true", query=f"email:{wanted.email}", maxResults=10
            )
        )
        sentence = HELD if deleted.get("users") else TAKEN
        return _conflict(wanted, "USER_ALREADY_EXISTS", sentence.format(email=wanted.email), None)

    def _change(self, wanted: WantedAccount, user: Json, state: AccountState) -> AccountState:
        """Delete it, or change what differs; a password that is to be told always is."""
        user_id, users = user["id"], self._directory.users()
        if not wanted.is_present:
            if _is_ours(wanted, user):
                self._call(users.delete(userKey=user_id), wanted)
            return AccountState(email=wanted.email, outcome="matches")
        body: Json = {}
        if bool(user.get("suspended")) == wanted.may_log_in:
            body["suspended"] = not wanted.may_log_in
        if _name(wanted) != _named(user):
            body["name"] = _name(wanted)
        if wanted.password:
            body["password"] = wanted.password
        if body:
            self._call(users.patch(userKey=user_id, body=body), wanted)
        return AccountState(email=wanted.email, outcome="matches", remote_id=user_id)

    def _user(self, wanted: WantedAccount) -> Json | None:
        """The user that stands where the account should; of a domain that left, there is none."""
        try:
            return self._find(wanted.email)
        except ProviderError as error:
            if error.error_code == "DOMAIN_NOT_FOUND" and not wanted.is_present:
                return None
            raise

    def _find(self, email: str) -> Json | None:
        """The user of this address or alias, None where there is none."""
        try:
            return self._call(self._directory.users().get(userKey=email), email=email)
        except _Absent:
            return None
        except _Refusal as refusal:
            raise refusal.as_error() from None

    # Domains

    def claim_domain(self, name: str) -> None:
        """As the port says. One that the directory has already is fine."""
        if self.domain_claim(name) is not None:
            return
        try:
            self._call(
                self._directory.domains().insert(customer="my_customer", body={"domainName": name})
            )
        except _Refusal as refusal:
            if refusal.code != "USER_ALREADY_EXISTS":
                raise refusal.as_error() from None
            if self.domain_claim(name) is None:
                sentence = f"{name} belongs to another Google customer. Remove it there first."
                raise ProviderError("DOMAIN_TAKEN", sentence, retryable=False) from None

    def domain_claim(self, name: str) -> DomainClaim | None:
        """As the port says."""
        try:
            found = self._call(
                self._directory.domains().get(customer="my_customer", domainName=name)
            )
        except _Absent:
            return None
        except _Refusal as refusal:
            if refusal.code == "DOMAIN_NOT_FOUND":
                return None
            raise refusal.as_error() from None
        return DomainClaim(found["domainName"], bool(found.get("verified")))

    def verification_token(self, name: str) -> str:
        """As the port says."""
        body = {"site": _site(name), "verificationMethod": "DNS_TXT"}
        sites = self._service("siteVerification").webResource()
        return str(self._ask(sites.getToken(body=body))["token"])

    def verify_domain(self, name: str) -> bool:
        """As the port says. Google answers 400 while it does not see the record."""
        request = self._service("siteVerification").webResource()
        try:
            self._call(request.insert(verificationMethod="DNS_TXT", body={"site": _site(name)}))
        except _Refusal as refusal:
            if refusal.status == 400:
                return False
            raise refusal.as_error() from None
        return True

    # Calls

    @property
    def _admin(self) -> str:
        return self._credentials.get("admin_email", "")

    @property
    def _directory(self) -> Any:
        return self._service("admin")

    def _service(self, name: str) -> Any:
        """The client of one API for the present thread, made from Google's bundled documents."""
        known = self._threads.__dict__
        if name not in known:
            version = {"admin": "directory_v1", "siteVerification": "v1"}[name]
            known[name] = build(
                name,
                version,
                http=AuthorizedHttp(self._fresh_token(), http=transport(self._timeout)),
                static_discovery=True,
                cache_discovery=False,
                client_options={"api_endpoint": self._urls[name]},
            )
        return known[name]

    def _fresh_token(self) -> Token:
        """The access token that all threads share."""
        with self._lock:
            if self._token is None:
                self._token = token_for(
                    self._credentials.get("service_account_json", ""),
                    self._admin,
                    named=self._named,
                    url=self._token_url,
                    timeout=self._timeout,
                )
            return self._token

    def _ask(self, request: Any) -> Json:
        """`_call`, where a refusal concerns the whole credential."""
        try:
            return self._call(request)
        except _Refusal as refusal:
            raise refusal.as_error() from None

    def _call(self, request: Any, wanted: WantedAccount | None = None, *, email: str = "") -> Json:
        """Send a request once. Raises `ProviderError`, and `_Refusal` for what stays refused."""
        is_read = request.method == "GET"
        try:
            answer: Json = request.execute(num_retries=0) or {}
        except HttpError as error:
            raise self._translated(error, wanted, email, is_read=is_read) from None
        except (
            OSError,
            http.client.HTTPException,
            httplib2.HttpLib2Error,
            google.auth.exceptions.GoogleAuthError,
            ClientError,
            ValueError,
        ) as error:
            raise silence(error, ambiguous=not is_read) from None
        return answer

    def _translated(
        self, error: HttpError, wanted: WantedAccount | None, email: str, *, is_read: bool
    ) -> Exception:
        """What an answer means. `email`, or that of `wanted`: the account that it is about."""
        status, reason = int(error.status_code), _reason(error)
        if status == 429 or reason in RATE_REASONS:
            wait = _seconds(error.resp.get("retry-after")) or DEFAULT_WAIT
            sentence = "Google allows no more requests for now."
            return ProviderError("RATE_LIMITED", sentence, retryable=True, retry_after=wait)
        if status >= 500:
            sentence = f"Google failed ({status} {reason})."
            return ProviderError("UNKNOWN_ERROR", sentence, retryable=True, ambiguous=not is_read)
        if status == 401:
            sentence = "Google does not accept the access token of the service account."
            return ProviderError("INSUFFICIENT_PERMISSIONS", sentence, retryable=False)
        email = wanted.email if wanted else email
        if status in {403, 412} and email and (found := self._domain_refusal(status, email)):
            return found
        return _refused(status, reason, str(error.reason or ""), email, self._named)

    def _domain_refusal(self, status: int, email: str) -> "_Refusal | None":
        """Google says "forbidden" for a domain that it does not have: ask which of both it is."""
        domain = _domain_of(email)
        claim = self.domain_claim(domain)
        if claim is None:
            return _Refusal(status, "DOMAIN_NOT_FOUND", NOT_THERE.format(domain=domain))
        if not claim.is_verified:
            return _Refusal(status, "DOMAIN_NOT_VERIFIED", NOT_VERIFIED.format(domain=domain))
        return None


class _Refusal(Exception):
    """Google refuses, and would again. `code` is one of the contract's."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(code)
        self.status, self.code, self.sentence = status, code, sentence

    def as_error(self) -> ProviderError:
        return ProviderError(self.code, self.sentence, retryable=False)


class _Absent(_Refusal):
    """What was asked for is not there."""

    def __init__(self, status: int) -> None:
        super().__init__(status, "UNKNOWN_ERROR", "Google does not know this any more.")


def _compared(wanted: WantedAccount, user: Json | None) -> AccountState:
    """How a user of the directory compares with what is wanted."""
    if user is None:
        outcome: Outcome = "missing" if wanted.is_present else "matches"
        return AccountState(email=wanted.email, outcome=outcome)
    ours, found = _is_ours(wanted, user), str(user["primaryEmail"]).lower()
    if not wanted.is_present:
        # What is not ours is not ours to delete.
        return AccountState(email=wanted.email, outcome="missing" if ours else "matches")
    if not ours:
        return _conflict(wanted, "USER_ALREADY_EXISTS", TAKEN.format(email=wanted.email), None)
    if found != wanted.email.lower():
        return _conflict(wanted, "USER_ALREADY_EXISTS", RENAMED.format(found=found), user)
    reason = user.get("suspensionReason", "ADMIN")
    if user.get("suspended") and wanted.may_log_in and reason != "ADMIN":
        sentence = STOPPED.format(email=wanted.email, reason=str(reason)[:40])
        return _conflict(wanted, "ACCOUNT_SUSPENDED", sentence, user)
    same = bool(user.get("suspended")) != wanted.may_log_in and _named(user) == _name(wanted)
    return AccountState(
        email=wanted.email, outcome="matches" if same else "missing", remote_id=str(user["id"])
    )


def _conflict(wanted: WantedAccount, code: str, sentence: str, user: Json | None) -> AccountState:
    return AccountState(
        email=wanted.email,
        outcome="conflicts",
        code=code,
        detail=sentence,
        remote_id=str(user["id"]) if user else "",
    )


def _is_ours(wanted: WantedAccount, user: Json) -> bool:
    """Whether we made it: it carries our mark, or is the very account that we noted."""
    if wanted.remote_id:
        return bool(user["id"] == wanted.remote_id)
    ids = user.get("externalIds") or []
    return bool(wanted.reference) and any(
        one.get("customType") == OUR_MARK and one.get("value") == wanted.reference for one in ids
    )


def _mark(wanted: WantedAccount) -> Json:
    return {"type": "custom", "customType": OUR_MARK, "value": wanted.reference}


def _name(wanted: WantedAccount) -> Json:
    """Google wants both names: of who has none, the address gives them."""
    local, _, domain = wanted.email.partition("@")
    return {
        "givenName": (wanted.first_name or local)[:LONGEST_NAME],
        "familyName": (wanted.last_name or domain)[:LONGEST_NAME],
    }


def _named(user: Json) -> Json:
    name = user.get("name") or {}
    return {key: name.get(key, "") for key in ("givenName", "familyName")}


def _site(name: str) -> Json:
    return {"type": "INET_DOMAIN", "identifier": name}


def _domain_of(email: str) -> str:
    return email.rpartition("@")[2]


def _reason(error: HttpError) -> str:
    """Google's word for what went wrong; "" where the answer is not Google's."""
    details = error.error_details
    first = details[0] if isinstance(details, list) and details else {}
    return str(first.get("reason", "")) if isinstance(first, dict) else ""


def _refused(status: int, reason: str, told: str, email: str, admin: str) -> _Refusal:
    """What stays refused, in our words: Google's own may repeat what was sent."""
    if status == 404 and not told.startswith("Domain"):
        return _Absent(status)
    if status == 400 and "primary_user_email" in told.lower().replace(" ", "_"):
        return _Refusal(status, "INVALID_USERNAME", f"Google does not take {email} as a name.")
    if status == 400 and "password" in told.lower():
        return _Refusal(status, "UNKNOWN_ERROR", "Google refused the password as too weak.")
    code, sentence = _REFUSALS.get(status, ("UNKNOWN_ERROR", "Google refused this ({status})."))
    shown = {"email": email, "domain": _domain_of(email), "admin": admin}
    return _Refusal(status, code, sentence.format(status=f"{status} {reason}"[:100], **shown))


_REFUSALS = {
    403: ("INSUFFICIENT_PERMISSIONS", FORBIDDEN),
    404: ("DOMAIN_NOT_FOUND", NOT_THERE),
    409: ("USER_ALREADY_EXISTS", TAKEN),
    412: ("QUOTA_EXCEEDED", SEATS),
}


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdecimal() and len(text) < 6 else None
