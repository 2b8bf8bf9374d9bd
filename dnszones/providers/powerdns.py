"""PowerDNS, the host's own authoritative server, over its HTTP API (seen with 4.7.3, 2026-11).

https://doc.powerdns.com/authoritative/http-api/
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import batched
from typing import Any, ClassVar
from urllib.parse import quote

import httpx

from dnszones.records import (
    RecordData,
    check_name,
    from_presentation,
    normal_name,
    same_value,
    to_presentation,
    value_of,
)
from mpanel.core.authorities import certificate_authorities
from mpanel.core.errors import Invalid, ProviderError
from mpanel.core.registry import CredentialField, provider

from .base import Capabilities, DNSProvider, DnssecState, DsRecord, RemoteRecord, RemoteZone

# A PATCH has no limit but its size, 2 MB; this many of the longest texts stay below it.
BATCH_SIZE = 500
TYPES = "A AAAA CAA CNAME DNAME DS HTTPS MX NAPTR NS PTR SRV SSHFP SVCB TLSA TXT URI"
ALGORITHM = "ECDSAP256SHA256"  # what RFC 8624 §3.1 recommends for signing
# Made by the server, or the host's to say: not a customer's records.
OF_THE_ZONE = frozenset({"SOA", "NS"})
REFUSED_KEY = "PowerDNS refused the API key."
_QUOTED_VALUE = re.compile(r'="([^"\\\s]*)"')


@provider("dns")
class PowerDNS(DNSProvider):
    """The zones of one PowerDNS server, by its API key.

    Its records have no ids, so ours are made from what they say. It writes whole rrsets: a change
    of one record rewrites its rrset as it was read a moment before, so nobody else should write to
    the same rrset at the same time.
    """

    key: ClassVar[str] = "powerdns"
    label: ClassVar[str] = "PowerDNS"
    credential_fields: ClassVar[tuple[CredentialField, ...]] = (
        CredentialField("api_key", "API key", secret=True, help="The server's setting api-key."),
        CredentialField(
            "nameservers",
            "Nameservers",
            help="Names under which the server is reached, separated by commas; two at least.",
        ),
    )
    capabilities = Capabilities(
        record_types=frozenset(TYPES.split()),
        batch_size=BATCH_SIZE,
        atomic_batches=True,
        one_ttl_per_rrset=True,
        dnssec=True,
        marks_zones=True,
    )

    def __init__(self, credentials: Mapping[str, str], *, base_url: str, timeout: float) -> None:
        names = credentials["nameservers"].replace(",", " ").split()
        self._nameservers = [normal_name(name) for name in names]
        self._base_url = base_url
        self._api_key = credentials["api_key"]
        self._client = httpx.Client(
            timeout=timeout, trust_env=False, verify=certificate_authorities(trust_env=False)
        )

    def check_connection(self) -> str:
        try:
            found = self._call("GET", "")
        except ProviderError as error:
            if error.error_code != "ZONE_GONE":
                raise
            message = "At the address of the PowerDNS server there is no PowerDNS."
            raise ProviderError("NOT_POWERDNS", message, retryable=False) from error
        self._check_nameservers()
        names = " and ".join(self._nameservers)
        return f"Connected to PowerDNS {_text(found, 'version')}, reached as {names}."

    def find_zone(self, name: str) -> RemoteZone | None:
        return self.get_zone(f"{normal_name(name)}.")

    def get_zone(self, zone_id: str) -> RemoteZone | None:
        try:
            return _zone(self._call("GET", _path(zone_id)))
        except ProviderError as error:
            if error.error_code == "ZONE_GONE":
                return None
            raise

    def create_zone(self, name: str, *, marker: str = "") -> RemoteZone:
        self._check_nameservers()
        body = {
            "name": f"{name}.",
            "kind": "Native",
            "nameservers": [f"{nameserver}." for nameserver in self._nameservers],
            "soa_edit_api": "DEFAULT",
            "api_rectify": True,
            "account": marker,
        }
        return _zone(self._call("POST", "/zones", body))

    def delete_zone(self, zone_id: str) -> None:
        try:
            self._call("DELETE", _path(zone_id))
        except ProviderError as error:
            if error.error_code != "ZONE_GONE":
                raise

    def list_records(self, zone_id: str) -> list[RemoteRecord]:
        zone = self._call("GET", _path(zone_id))
        return sorted(
            (
                RemoteRecord(_record_id(entry.data), entry.data, rrset.comment)
                for rrset in _rrsets(zone)
                for entry in rrset.entries
                if not entry.is_disabled
            ),
            key=lambda record: (record.data.name, record.data.type, value_of(record.data)),
        )

    def apply_batch(
        self,
        zone_id: str,
        *,
        deletes: Sequence[RemoteRecord] = (),
        updates: Sequence[tuple[RemoteRecord, RecordData]] = (),
        creates: Sequence[RecordData] = (),
    ) -> None:
        steps: list[Step] = [(record, None) for record in deletes]
        steps += updates
        steps += [(None, data) for data in creates]
        if not steps:
            return
        zone = self._call("GET", _path(zone_id))
        written = _Draft(normal_name(_text(zone, "name")), _rrsets(zone))
        for chunk in batched(steps, self.capabilities.batch_size):
            for old, new in chunk:
                written.step(old, new)
            if changes := written.changes():
                self._call("PATCH", _path(zone_id), {"rrsets": changes})

    def dnssec(self, zone_id: str) -> DnssecState:
        active = [key for key in self._keys(zone_id) if key.is_active]
        found = {ds for key in active for ds in key.ds_records if ds.is_fit}
        return DnssecState(bool(active), tuple(sorted(found)))

    def enable_dnssec(self, zone_id: str) -> DnssecState:
        """Sign with a key that was switched off before, else with a new one."""
        keys = self._keys(zone_id)
        # Else what is written later would lack its place in the chain of denials.
        self._call("PUT", _path(zone_id), {"api_rectify": True})
        if not any(key.is_active for key in keys):
            own = [key for key in keys if key.kind == "csk"]
            if own:
                self._switch(zone_id, max(own, key=lambda key: key.id), on=True)
            else:
                body = {"keytype": "csk", "active": True, "algorithm": ALGORITHM}
                # The answer holds the private key; nothing of it is kept.
                self._call("POST", f"{_path(zone_id)}/cryptokeys", body)
        self._call("PUT", f"{_path(zone_id)}/rectify")
        return self.dnssec(zone_id)

    def disable_dnssec(self, zone_id: str) -> DnssecState:
        """Switch the keys off and keep them, so that signing can begin again with the same DS."""
        for key in self._keys(zone_id):
            if key.is_active or key.is_published:
                self._switch(zone_id, key, on=False)
        return self.dnssec(zone_id)

    def _switch(self, zone_id: str, key: "_Key", *, on: bool) -> None:
        path = f"{_path(zone_id)}/cryptokeys/{key.id}"
        self._call("PUT", path, {"active": on, "published": on})

    def _keys(self, zone_id: str) -> "list[_Key]":
        found = self._call("GET", f"{_path(zone_id)}/cryptokeys")
        if not isinstance(found, list):
            raise _unusable(write=False)
        try:
            return [_Key.from_json(item) for item in found]
        except (KeyError, TypeError, ValueError) as error:
            raise _unusable(write=False) from error

    def _check_nameservers(self) -> None:
        names = self._nameservers
        if len(set(names)) < 2 or not all(map(_is_host, names)):
            message = "Name two nameservers at least, such as ns1.example.com, ns2.example.com."
            raise ProviderError("NO_NAMESERVERS", message, retryable=False)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON of an answer. Raises `ProviderError` for all that can go wrong on the way."""
        write = method != "GET"
        if not (self._api_key.isascii() and self._api_key.isprintable()):
            raise ProviderError("INVALID_CREDENTIALS", REFUSED_KEY, retryable=False)
        try:
            answer = self._client.request(
                method,
                f"{self._base_url}{path}",
                json=body,
                headers={"X-API-Key": self._api_key, "Accept": "application/json"},
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            message = "The PowerDNS server is not reachable."
            raise ProviderError("UNREACHABLE", message, retryable=True) from error
        except httpx.TransportError as error:
            timed_out = isinstance(error, httpx.TimeoutException)
            raise ProviderError(
                "TIMEOUT" if timed_out else "UNREACHABLE",
                "PowerDNS did not answer in time." if timed_out else "PowerDNS hung up.",
                retryable=True,
                ambiguous=write,
            ) from error
        if not answer.is_success:
            raise _refusal(answer, write=write)
        if not answer.content:
            return {}
        try:
            return answer.json()
        except ValueError as error:
            raise _unusable(write=write) from error


# What goes and what comes: both for an update, one of them for the rest.
Step = tuple[RemoteRecord | None, RecordData | None]


@dataclass(frozen=True)
class _Entry:
    """A record of an rrset. A disabled one is not in DNS; it is kept as it is."""

    data: RecordData
    content: str
    is_disabled: bool = False


@dataclass(frozen=True)
class _Rrset:
    name: str
    type: str
    ttl: int
    entries: tuple[_Entry, ...]
    comment: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.name, self.type

    def change(self) -> dict[str, Any]:
        """The rrset as a PATCH takes it; without `comments`, those that stand there are kept."""
        about: dict[str, Any] = {"name": f"{self.name}.", "type": self.type}
        if not self.entries:
            return {**about, "changetype": "DELETE"}
        return {
            **about,
            "changetype": "REPLACE",
            "ttl": self.ttl,
            "records": [
                {"content": entry.content, "disabled": entry.is_disabled} for entry in self.entries
            ],
        }


class _Draft:
    """A zone as it will be, and which of its rrsets that changes."""

    def __init__(self, apex: str, rrsets: Sequence[_Rrset]) -> None:
        self._apex = apex
        self._rrsets = {rrset.key: rrset for rrset in rrsets}
        self._touched: set[tuple[str, str]] = set()

    def step(self, old: RemoteRecord | None, new: RecordData | None) -> None:
        """Take out, put in. What is done already is skipped."""
        was_there = old is not None and self._take(old)
        if new is None or self._says(new):
            return
        if old is not None and not was_there:
            message = "A record to change is not there any more."
            raise ProviderError("RECORD_GONE", message, retryable=False)
        self._add(new)

    def changes(self) -> list[dict[str, Any]]:
        """The rrsets that were touched since the last call, as a PATCH takes them.

        Those that go come first, or a CNAME could not take the place of other records.
        """
        touched = [self._rrsets[key] for key in sorted(self._touched)]
        self._touched.clear()
        return [rrset.change() for rrset in sorted(touched, key=lambda rrset: bool(rrset.entries))]

    def _take(self, record: RemoteRecord) -> bool:
        """Take a record out; whether it was there."""
        rrset = self._rrsets.get(record.data.key)
        if rrset is None:
            return False
        kept = tuple(
            entry
            for entry in rrset.entries
            if entry.is_disabled or _record_id(entry.data) != record.id
        )
        if kept == rrset.entries:
            return False
        self._put(replace(rrset, entries=kept))
        return True

    def _says(self, data: RecordData) -> bool:
        """Whether a record in DNS says this already; the TTL is not compared."""
        rrset = self._rrsets.get(data.key)
        return rrset is not None and any(
            same_value(entry.data, data) for entry in rrset.entries if not entry.is_disabled
        )

    def _add(self, data: RecordData) -> None:
        if data.name == self._apex and data.type in OF_THE_ZONE:
            message = "The zone's own nameservers are the host's to set."
            raise ProviderError("REFUSED", message, retryable=False)
        rrset = self._rrsets.get(data.key, _Rrset(data.name, data.type, data.ttl, ()))
        content = _content(data)
        entries = tuple(entry for entry in rrset.entries if entry.content != content)
        self._put(replace(rrset, ttl=data.ttl, entries=(*entries, _Entry(data, content))))

    def _put(self, rrset: _Rrset) -> None:
        self._rrsets[rrset.key] = rrset
        self._touched.add(rrset.key)


@dataclass(frozen=True)
class _Key:
    """A key that signs a zone, without its private half."""

    id: int
    kind: str
    is_active: bool
    is_published: bool
    ds_records: tuple[DsRecord, ...]

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> "_Key":
        return cls(
            id=int(item["id"]),
            kind=str(item["keytype"]),
            is_active=bool(item["active"]),
            is_published=bool(item.get("published")),
            ds_records=tuple(DsRecord.from_text(text) for text in item.get("ds") or ()),
        )


def _is_host(name: str) -> bool:
    """Whether it can be a nameserver's name: no single label, and no address."""
    try:
        check_name(name, field="nameservers", host=True)
    except Invalid:
        return False
    return "." in name and not name.rpartition(".")[2].isdigit()


def _path(zone_id: str) -> str:
    return f"/zones/{quote(zone_id, safe='')}"


def _content(data: RecordData) -> str:
    """The content in the one form that the server takes: values of SVCB without their quotes."""
    content = to_presentation(data)
    return _QUOTED_VALUE.sub(r"=\1", content) if data.type in {"HTTPS", "SVCB"} else content


def _record_id(data: RecordData) -> str:
    told = "\n".join((*data.key, value_of(data)))
    return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:32]


def _zone(zone: Any) -> RemoteZone:
    """Always `pending`: PowerDNS answers from the first moment and never looks at the parent."""
    name = _text(zone, "name").rstrip(".")
    nameservers = [
        entry.data.content
        for rrset in _rrsets(zone, of_the_zone=True)
        if rrset.key == (name, "NS")
        for entry in rrset.entries
    ]
    marker = str(zone.get("account") or "")
    return RemoteZone(_text(zone, "id"), name, tuple(nameservers), "pending", marker=marker)


def _rrsets(zone: Any, *, of_the_zone: bool = False) -> list[_Rrset]:
    """The rrsets of a zone; without SOA and the zone's own NS, unless they are asked for."""
    try:
        apex = normal_name(zone["name"])
        found = [_rrset(item) for item in zone["rrsets"]]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _unusable(write=False) from error
    return [
        rrset
        for rrset in found
        if of_the_zone or rrset.name != apex or rrset.type not in OF_THE_ZONE
    ]


def _rrset(item: Mapping[str, Any]) -> _Rrset:
    name, kind, ttl = normal_name(item["name"]), str(item["type"]), int(item["ttl"])
    comments = [str(comment["content"]) for comment in item.get("comments") or ()]
    return _Rrset(
        name,
        kind,
        ttl,
        tuple(
            _Entry(
                from_presentation(name, kind, record["content"], ttl),
                record["content"],
                bool(record.get("disabled")),
            )
            for record in item["records"]
        ),
        " ".join(comments),
    )


def _text(found: Any, name: str) -> str:
    if not isinstance(found, Mapping) or not isinstance(found.get(name), str):
        raise _unusable(write=False)
    return str(found[name])


def _refusal(answer: httpx.Response, *, write: bool) -> ProviderError:
    """Our code and sentence for an answer that is no success."""
    status, said = answer.status_code, _sentence(answer)
    if status >= 500:
        message = "PowerDNS has a problem of its own."
        return ProviderError("UNAVAILABLE", message, retryable=True, ambiguous=write)
    if status == 429:
        message = "PowerDNS asks to send fewer requests."
        return ProviderError("RATE_LIMITED", message, retryable=True)
    if status in {401, 403}:
        code, message = "INVALID_CREDENTIALS", REFUSED_KEY
    elif status == 404:
        code, message = "ZONE_GONE", "PowerDNS does not know this zone."
    elif status == 409:
        code, message = "ZONE_EXISTS", "This PowerDNS server has the domain already."
    elif "conflicts with pre-existing" in said.lower() or "has more than one" in said.lower():
        code, message = "RECORD_CONFLICT", f"Another record is in the way: {said}"
    else:
        code, message = "REFUSED", f"PowerDNS refused: {said}"
    return ProviderError(code, message, retryable=False)


def _sentence(answer: httpx.Response) -> str:
    try:
        said = json.loads(answer.text)["error"]
    except (ValueError, KeyError, TypeError):
        said = answer.text
    return " ".join(str(said).split())[:500] or f"status {answer.status_code}"


def _unusable(*, write: bool) -> ProviderError:
    message = "PowerDNS gave an answer that could not be understood."
    return ProviderError("BAD_ANSWER", message, retryable=True, ambiguous=write)
