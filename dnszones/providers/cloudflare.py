"""Cloudflare DNS over API v4 and its own client library.

https://developers.cloudflare.com/api/resources/dns/ and .../resources/zones/
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import batched, count
from typing import Any, ClassVar

import cloudflare
from cloudflare.types.dns.dnssec import DNSSEC
from cloudflare.types.zones import Zone

from dnszones.records import (
    AUTOMATIC_TTL,
    PRIORITY_TYPES,
    PROXIABLE_TYPES,
    RecordData,
    canonical,
    quote_txt,
    same_value,
    unquote_txt,
)
from mpanel.core.authorities import certificate_authorities
from mpanel.core.errors import ProviderError
from mpanel.core.registry import CredentialField, provider

from .base import (
    Capabilities,
    DNSProvider,
    DnssecState,
    DsRecord,
    RemoteRecord,
    RemoteZone,
    ZoneScanner,
    ZoneStatus,
)

PER_PAGE = 1000  # the default of 100 makes a large zone slow; 5,000,000 are allowed

UNKNOWN_ZONE = {1001, 7000, 7003}

# Ours for Cloudflare's, where a person must act: code and sentence.
REFUSALS = {
    1049: ("NOT_REGISTERED", "Cloudflare says that this domain is not registered."),
    1061: ("ZONE_EXISTS", "This domain is already at Cloudflare, in this account or another one."),
    1097: ("ZONE_BANNED", "Cloudflare does not accept this domain. Ask its support."),
    1099: ("NOT_REGISTERED", "Cloudflare says that this is no registered domain."),
    1105: (
        "TOO_MANY_ATTEMPTS",
        "This domain was added too often. Cloudflare asks for three hours.",
    ),
    1118: (
        "TOO_MANY_PENDING",
        "The account has too many zones whose nameservers do not point here.",
    ),
    81044: ("RECORD_GONE", "A record to change is not there any more."),
    81053: ("RECORD_CONFLICT", "An A, AAAA or CNAME record of this name is in the way."),
    81054: ("RECORD_CONFLICT", "A CNAME record of this name is in the way."),
    81057: ("RECORD_EXISTS", "The record exists already."),
    81058: ("RECORD_EXISTS", "The record exists already."),
}

# Types that are written by their parts, and what these are called, in the order of the content.
PARTS = {
    "CAA": ("flags", "tag", "value"),
    "DS": ("key_tag", "algorithm", "digest_type", "digest"),
    "HTTPS": ("priority", "target", "value"),
    "SRV": ("weight", "port", "target"),
    "SSHFP": ("algorithm", "type", "fingerprint"),
    "SVCB": ("priority", "target", "value"),
    "TLSA": ("usage", "selector", "matching_type", "certificate"),
    "URI": ("weight", "target"),
}
QUOTED = {"CAA", "URI"}  # the last part stands in quotes

# An operation of a batch: which list of the body it goes to, and its JSON.
Operation = tuple[str, dict[str, Any]]


@provider("dns")
class CloudflareDNS(DNSProvider, ZoneScanner):
    """Zones and records of one Cloudflare account, by an API token for Zone and DNS edit."""

    key: ClassVar[str] = "cloudflare"
    label: ClassVar[str] = "Cloudflare"
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField(
            "api_token",
            "API token",
            secret=True,
            help="Needs Zone: Edit, DNS: Edit for all zones, and Account Settings: Read.",
        ),
        CredentialField(
            "account_id",
            "Account ID",
            help="In the Cloudflare dashboard under Workers & Pages, or in the address bar.",
        ),
    )
    capabilities = Capabilities(
        record_types=frozenset({"A", "AAAA", "CNAME", "MX", "NS", "PTR", "TXT", *PARTS}),
        batch_size=200,  # of the free plan; the others allow 3,500
        atomic_batches=True,
        dnssec=True,
        apex_cname=True,
        lone_cname=False,
        proxies=True,
    )

    def __init__(self, credentials: Mapping[str, str], *, base_url: str, timeout: float) -> None:
        self._account_id = credentials["account_id"]
        self._client = cloudflare.Cloudflare(
            api_token=credentials["api_token"],
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            http_client=cloudflare.DefaultHttpxClient(verify=certificate_authorities()),
        )
        # The library prefers keys of the environment to the token it was given (seen in 5.9.0).
        self._client.api_email = None
        self._client.api_key = None
        self._client.user_service_key = None

    def check_connection(self) -> str:
        account = _call(self._client.accounts.get, account_id=self._account_id)
        page = _call(self._client.zones.list, account={"id": self._account_id}, per_page=5)
        _present(page.result, write=False)
        return f"Connected to the Cloudflare account {_present(account, write=False).name}."

    def find_zone(self, name: str) -> RemoteZone | None:
        page = _call(self._client.zones.list, name=name, account={"id": self._account_id})
        zones: list[Zone] = _present(page.result, write=False)
        return next((_zone(zone) for zone in zones if zone.name == name), None)

    def get_zone(self, zone_id: str) -> RemoteZone | None:
        try:
            zone = _call(self._client.zones.get, zone_id=zone_id)
        except ProviderError as error:
            if error.error_code == "ZONE_GONE":
                return None
            raise
        return _zone(_present(zone, write=False))

    def create_zone(self, name: str, *, marker: str = "") -> RemoteZone:
        account = {"id": self._account_id}
        zone = _write(self._client.zones.create, account=account, name=name, type="full")
        return _zone(zone)

    def delete_zone(self, zone_id: str) -> None:
        try:
            _write(self._client.zones.delete, zone_id=zone_id)
        except ProviderError as error:
            if error.error_code != "ZONE_GONE":
                raise

    def list_records(self, zone_id: str) -> list[RemoteRecord]:
        return list(self._records(zone_id))

    def apply_batch(
        self,
        zone_id: str,
        *,
        deletes: Sequence[RemoteRecord] = (),
        updates: Sequence[tuple[RemoteRecord, RecordData]] = (),
        creates: Sequence[RecordData] = (),
    ) -> None:
        try:
            self._send(zone_id, deletes, updates, creates)
        except ProviderError as error:
            if error.error_code not in {"RECORD_EXISTS", "RECORD_GONE"}:
                raise
            # The call that was refused changed nothing. What is done already is left out of it.
            there = self.list_records(zone_id)
            self._send(zone_id, *_still_to_do(there, deletes, updates, creates))

    def start_scan(self, zone_id: str) -> None:
        """Results are kept apart until they are accepted, which nobody here does.

        https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/scan_trigger
        """
        _call(self._client.dns.records.scan_trigger, write=True, zone_id=zone_id)

    def scanned(self, zone_id: str) -> list[tuple[str, str]]:
        page = _call(self._client.dns.records.scan_list, zone_id=zone_id)
        return [_record(record).data.key for record in _present(page.result, write=False)]

    def dnssec(self, zone_id: str) -> DnssecState:
        found = _call(self._client.dns.dnssec.get, zone_id=zone_id)
        return _dnssec(_present(found, write=False), write=False)

    def enable_dnssec(self, zone_id: str) -> DnssecState:
        edit = self._client.dns.dnssec.edit
        return _dnssec(_write(edit, zone_id=zone_id, status="active"), write=True)

    def disable_dnssec(self, zone_id: str) -> DnssecState:
        edit = self._client.dns.dnssec.edit
        return _dnssec(_write(edit, zone_id=zone_id, status="disabled"), write=True)

    def _send(
        self,
        zone_id: str,
        deletes: Sequence[RemoteRecord],
        updates: Sequence[tuple[RemoteRecord, RecordData]],
        creates: Sequence[RecordData],
    ) -> None:
        operations: list[Operation] = [("deletes", {"id": record.id}) for record in deletes]
        # A patch keeps what it does not name: comment and tags.
        operations += [("patches", {"id": record.id, **_body(data)}) for record, data in updates]
        operations += [("posts", _body(data)) for data in creates]
        for chunk in batched(operations, self.capabilities.batch_size):
            body: dict[str, list[dict[str, Any]]] = {}
            for where, operation in chunk:
                body.setdefault(where, []).append(operation)
            _write(self._client.dns.records.batch, zone_id=zone_id, **body)

    def _records(self, zone_id: str) -> Iterator[RemoteRecord]:
        """Page by page: a page without result is a failure, not the end of the zone."""
        seen: set[str] = set()
        for number in count(1):
            page = _call(
                self._client.dns.records.list, zone_id=zone_id, page=number, per_page=PER_PAGE
            )
            found = [_record(record) for record in _present(page.result, write=False)]
            if not seen.isdisjoint(record.id for record in found):
                raise _unusable(write=False)  # the same page again would never end
            yield from found
            seen.update(record.id for record in found)
            pages = getattr(page.result_info, "total_pages", None)
            if not found or (isinstance(pages, int) and number >= pages):
                return


def _write(method: Callable[..., Any], **arguments: Any) -> Any:
    """Call a method that changes something, and insist on its result."""
    return _present(_call(method, write=True, **arguments), write=True)


def _call(method: Callable[..., Any], *, write: bool = False, **arguments: Any) -> Any:
    """Call the library. Raises `ProviderError` for all that can go wrong on the way."""
    try:
        return method(**arguments)
    except cloudflare.APIStatusError as error:
        raise _refusal(error, write=write) from error
    except cloudflare.APIError as error:
        timed_out = isinstance(error, cloudflare.APITimeoutError)
        raise ProviderError(
            "TIMEOUT" if timed_out else "UNREACHABLE",
            "Cloudflare did not answer in time." if timed_out else "Cloudflare is not reachable.",
            retryable=True,
            ambiguous=write,
        ) from error
    except (AttributeError, TypeError, ValueError) as error:
        # The library lets an answer that is no JSON through to its own code (seen in 5.9.0).
        raise _unusable(write=write) from error


def _present[T](result: T | None, *, write: bool) -> T:
    """The result. With `success: false` in an answer of 200 the library returns None."""
    if result is None:
        raise _unusable(write=write)
    return result


def _unusable(*, write: bool) -> ProviderError:
    message = "Cloudflare gave an answer that could not be understood."
    return ProviderError("BAD_ANSWER", message, retryable=True, ambiguous=write)


def _refusal(error: cloudflare.APIStatusError, *, write: bool) -> ProviderError:
    status = error.status_code
    if status == 429:
        message = "Cloudflare asks to send fewer requests."
        wait = _seconds(error.response.headers.get("retry-after"))
        return ProviderError("RATE_LIMITED", message, retryable=True, retry_after=wait)
    if status >= 500:
        message = "Cloudflare has a problem of its own."
        return ProviderError("UNAVAILABLE", message, retryable=True, ambiguous=write)
    return ProviderError(*_refused_because(error), retryable=False)


def _refused_because(error: cloudflare.APIStatusError) -> tuple[str, str]:
    """Our code and sentence for an answer of 4xx, which will not change by itself."""
    codes = _codes(error)
    if error.status_code in {401, 403}:
        refused = "Cloudflare refused the API token or its permissions. Check the credentials."
        return "INVALID_CREDENTIALS", refused
    for code in codes & REFUSALS.keys():
        return REFUSALS[code]
    if error.status_code == 404 or codes & UNKNOWN_ZONE:
        return "ZONE_GONE", "Cloudflare does not know this zone."
    return "REFUSED", f"Cloudflare refused: {_sentence(error)}"


def _error_chain(error: cloudflare.APIStatusError) -> list[Mapping[str, Any]]:
    """The errors of an answer with those nested in them; none where the body is no envelope."""
    body = error.body if isinstance(error.body, Mapping) else {}
    found: list[Mapping[str, Any]] = []
    for entry in body.get("errors") or []:
        if isinstance(entry, Mapping):
            nested = entry.get("error_chain") or []
            found += [entry, *(inner for inner in nested if isinstance(inner, Mapping))]
    return found


def _codes(error: cloudflare.APIStatusError) -> set[int]:
    return {entry["code"] for entry in _error_chain(error) if isinstance(entry.get("code"), int)}


def _sentence(error: cloudflare.APIStatusError) -> str:
    messages = [str(entry["message"]) for entry in _error_chain(error) if entry.get("message")]
    return " ".join(messages)[:500] or f"status {error.status_code}"


def _seconds(header: str | None) -> float | None:
    try:
        return max(float(header or ""), 0.0)
    except ValueError:
        return None


def _zone(zone: Zone) -> RemoteZone:
    known: dict[str | None, ZoneStatus] = {"active": "active", "moved": "moved"}
    return RemoteZone(
        id=zone.id,
        name=zone.name,
        nameservers=tuple(name.lower() for name in zone.name_servers or ()),
        status=known.get(zone.status, "pending"),  # also "initializing", for the first seconds
        created_at=zone.created_on,
    )


def _record(record: Any) -> RemoteRecord:
    content, priority = record.content or "", getattr(record, "priority", None)
    if record.type == "TXT":
        content = unquote_txt(content)
    if record.type not in PRIORITY_TYPES:
        priority = None
    # A TTL of 1 is "Auto", which DNS shows as 300 s; it is kept, so that a revert writes it back.
    ttl = AUTOMATIC_TTL if record.ttl is None else int(record.ttl)
    data = RecordData(
        record.name,
        record.type,
        content,
        ttl,
        None if priority is None else int(priority),
        proxied=record.type in PROXIABLE_TYPES and bool(record.proxied),
    )
    return RemoteRecord(record.id, canonical(data), record.comment or "")


def _dnssec(found: DNSSEC, *, write: bool) -> DnssecState:
    """`pending` is signed and waits for the DS, `pending-disabled` waits for the DS to go.

    https://developers.cloudflare.com/api/resources/dns/subresources/dnssec/
    """
    if found.status == "error":
        message = "Cloudflare could not sign this zone. Ask its support."
        raise ProviderError("DNSSEC_FAILED", message, retryable=False)
    if found.status not in {"active", "pending"}:
        return DnssecState(is_on=False)
    try:
        text = f"{found.key_tag:.0f} {found.algorithm} {found.digest_type} {found.digest}"
        return DnssecState(is_on=True, ds_records=(DsRecord.from_text(text),))
    except (TypeError, ValueError) as error:
        raise _unusable(write=write) from error


def _body(data: RecordData) -> dict[str, Any]:
    """A record as the API takes it.

    Whether it is proxied is always said, since the zone's own default may be either; a proxied
    record has the automatic TTL (https://developers.cloudflare.com/dns/proxy-status/).
    """
    ttl = AUTOMATIC_TTL if data.proxied else data.ttl
    body: dict[str, Any] = {"name": data.name, "type": data.type, "ttl": ttl}
    if data.type in PROXIABLE_TYPES:
        body["proxied"] = data.proxied
    if data.type in PARTS:
        body["data"] = _parts(data)
        # SRV has its priority among the parts, URI beside them.
        if data.type == "SRV":
            body["data"]["priority"] = data.priority
        elif data.priority is not None:
            body["priority"] = data.priority
        return body
    if data.priority is not None:
        body["priority"] = data.priority
    body["content"] = quote_txt(data.content) if data.type == "TXT" else data.content
    return body


def _parts(data: RecordData) -> dict[str, Any]:
    names = PARTS[data.type]
    words = data.content.split(maxsplit=len(names) - 1)
    words += [""] * (len(names) - len(words))
    if data.type in QUOTED:
        words[-1] = unquote_txt(words[-1])
    # The last part is never a number, also where a digest has digits only.
    return {
        name: int(word) if word.isdigit() and name != names[-1] else word
        for name, word in zip(names, words, strict=True)
    }


def _still_to_do(
    there: Sequence[RemoteRecord],
    deletes: Sequence[RemoteRecord],
    updates: Sequence[tuple[RemoteRecord, RecordData]],
    creates: Sequence[RecordData],
) -> tuple[list[RemoteRecord], list[tuple[RemoteRecord, RecordData]], list[RecordData]]:
    """The part of a batch that the zone does not show yet."""
    ids = {record.id for record in there}

    def holders(data: RecordData) -> set[str]:
        return {record.id for record in there if same_value(record.data, data)}

    # Where another record holds the new value already, the old one only has to go.
    replaced = [old for old, data in updates if holders(data) - {old.id}]
    return (
        [record for record in (*deletes, *replaced) if record.id in ids],
        [(old, data) for old, data in updates if not holders(data)],
        [data for data in creates if not holders(data)],
    )
