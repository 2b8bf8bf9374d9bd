"""Access tokens for a Google service account that acts for an administrator.

https://developers.google.com/identity/protocols/oauth2/service-account.
"""

import http.client
import json
import threading
import time
from typing import Any
from urllib.parse import urlencode

import google.auth.credentials
import google.auth.jwt
import httplib2
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from google.auth.crypt import RSASigner

from mpanel.core.addresses import address_problem
from mpanel.core.errors import ProviderError

SCOPES = (
    "https://www.googleapis.com/auth/admin.directory.user",
    "https://www.googleapis.com/auth/admin.directory.domain",
    "https://www.googleapis.com/auth/siteverification",
)
AUDIENCE = "https://oauth2.googleapis.com/token"  # of every assertion, wherever it is sent
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_ASKED_FOR = 3600  # seconds
RENEW_BEFORE = 60.0  # seconds

LARGEST_KEY = 4096  # bits

Json = dict[str, Any]
UNREADABLE = (ValueError, TypeError, KeyError, RecursionError, UnsupportedAlgorithm)


def service_account_problem(text: str) -> str:
    """What is wrong with the file of a service account; "" for nothing."""
    try:
        signer_of(json.loads(text))
    except UNREADABLE:
        return (
            "This is not the JSON key of a service account. Paste the whole file that Google's "
            "console gave you; it begins with a brace and names the type service_account."
        )
    return ""


def signer_of(account: Any) -> tuple[RSASigner, str]:
    """The key and the name of a service account. Nothing else of the file is ever used.

    Above all not its `token_uri` and `universe_domain`: a customer's file must not choose where we
    connect.
    """
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise ValueError("no service account")
    email, pem = account["client_email"], account["private_key"]
    if not (isinstance(email, str) and isinstance(pem, str)) or address_problem(email):
        raise ValueError("no client_email or private_key")
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, RSAPrivateKey) or key.key_size > LARGEST_KEY:
        raise ValueError("no RSA key")
    key_id = str(account.get("private_key_id", ""))
    return RSASigner(key, key_id), email  # type: ignore[no-untyped-call]


def token_for(text: str, admin: str, *, named: str, url: str, timeout: float) -> "Token":
    """The token of a service account's file. Raises `ProviderError` INVALID_CREDENTIALS."""
    try:
        signer, account = signer_of(json.loads(text))
    except UNREADABLE as error:
        raise ProviderError(
            "INVALID_CREDENTIALS",
            "The key of the Google service account cannot be read. Enter it again.",
            retryable=False,
        ) from error
    return Token(signer, account, admin, named=named, url=url, timeout=timeout)


class Token(google.auth.credentials.Credentials):
    """An access token for a service account that acts for an administrator.

    google-auth's own class would sleep and try again when the endpoint fails, and takes the
    endpoint's address from the customer's file (seen 2026-11).
    """

    def __init__(
        self,
        signer: RSASigner,
        account: str,
        admin: str,
        *,
        named: str,
        url: str,
        timeout: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._signer, self._account, self._admin, self._named = signer, account, admin, named
        self._url, self._timeout = url, timeout
        self._renewing = threading.Lock()
        self._until = 0.0

    def before_request(self, request: Any, method: str, url: str, headers: Any) -> None:
        """Called for every request, from several threads."""
        with self._renewing:
            if time.time() > self._until - RENEW_BEFORE:
                self.refresh(request)
        self.apply(headers)  # type: ignore[no-untyped-call]

    def refresh(self, request: Any) -> None:
        now = int(time.time())
        claims = {
            "iss": self._account,
            "sub": self._admin,
            "scope": " ".join(SCOPES),
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + TOKEN_ASKED_FOR,
        }
        signed = google.auth.jwt.encode(self._signer, claims)  # type: ignore[no-untyped-call]
        assertion = signed.decode("ascii")
        answer = self._asked(urlencode({"grant_type": GRANT_TYPE, "assertion": assertion}))
        self.token = answer["access_token"]
        self._until = now + float(answer["expires_in"])

    def _asked(self, form: str) -> Json:
        try:
            response, content = transport(self._timeout).request(
                self._url,
                "POST",
                body=form,
                headers={"content-type": "application/x-www-form-urlencoded"},
            )
            if response.status == 200:
                return _token_answer(json.loads(content))
            if response.status >= 500 or response.status == 429:
                sentence = f"Google gives no access tokens just now ({response.status})."
                raise ProviderError("NETWORK_ERROR", sentence, retryable=True)
            told = json.loads(content)
        except (OSError, http.client.HTTPException, httplib2.HttpLib2Error, ValueError) as error:
            raise silence(error, ambiguous=False) from None
        raise ProviderError(
            "INSUFFICIENT_PERMISSIONS", _why_no_token(told, self._named), retryable=False
        )


def _token_answer(answer: Any) -> Json:
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise ValueError("no token")
    return {"access_token": answer["access_token"], "expires_in": int(answer.get("expires_in", 0))}


def _why_no_token(told: Any, named: str) -> str:
    error = told.get("error") if isinstance(told, dict) else ""
    description = str(told.get("error_description", "")) if isinstance(told, dict) else ""
    if error == "unauthorized_client":
        return (
            "The service account has no domain-wide delegation for the scopes that mPanel needs. "
            f"Add its client ID in Google's admin console with {', '.join(SCOPES)}."
        )
    if "email or user id" in description.lower():
        return f"Google does not know the administrator {named}, or the account was suspended."
    return "Google refused the service account: its key may have been deleted. Make a new key."


def transport(timeout: float) -> httplib2.Http:
    """HTTP without proxies of the environment, redirects or a cache."""
    transport = httplib2.Http(timeout=timeout, proxy_info=None)
    transport.follow_redirects = False
    return transport


def silence(error: Exception, *, ambiguous: bool) -> ProviderError:
    """Nobody can tell what came of a call. Without the error's text, which may hold the request."""
    timed_out = isinstance(error, TimeoutError)
    how = "did not answer in time" if timed_out else "could not be reached"
    sentence = f"Google {how} ({type(error).__name__})."
    return ProviderError("NETWORK_ERROR", sentence, retryable=True, ambiguous=ambiguous)
