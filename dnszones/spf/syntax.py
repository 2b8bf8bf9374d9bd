"""SPF records as text and as terms: parse, render, compare, merge (RFC 7208 §4.6, §5, §6, §12)."""

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOKUP_MECHANISMS: Final = frozenset({"include", "a", "mx", "ptr", "exists"})

_MODIFIER = re.compile(r"([a-z][a-z0-9._-]*)=(.*)", re.IGNORECASE)
_MECHANISM = re.compile(r"([+\-~?]?)([a-z][a-z0-9]*)((?:[:/].*)?)", re.IGNORECASE)
_DUAL_CIDR = re.compile(
    r"(?::(?P<domain>.+?))?(?:/(?P<prefix4>0|[1-9]\d?))?(?://(?P<prefix6>0|[1-9]\d{0,2}))?"
)
_MACRO = re.compile(r"%\{([a-z])((?:[1-9]\d{0,2})?)(r?)([.\-+,/_=]*)\}|%([%_-])", re.IGNORECASE)
_TOP_LABEL = re.compile(
    r"\.(?:[a-z0-9]*[a-z][a-z0-9]*|[a-z0-9]+-[a-z0-9-]*[a-z0-9])\.?", re.IGNORECASE
)


class SPFSyntaxError(ValueError):
    """The text is not a valid SPF record."""


class MergeConflict(ValueError):
    """The record names a wanted sender with another qualifier than pass."""


@dataclass(frozen=True)
class Mechanism:
    """One directive. `domain` is a domain-spec in lower case unless it holds macros.

    `network` is that of ip4 and ip6; `prefix4` and `prefix6` are those of a and mx.
    """

    name: str
    qualifier: str = "+"
    domain: str = ""
    prefix4: int = 32
    prefix6: int = 128
    network: Network | None = None

    @property
    def has_macro(self) -> bool:
        return "%" in self.domain

    @property
    def passes(self) -> bool:
        return self.qualifier == "+"

    def __str__(self) -> str:
        text = ("" if self.passes else self.qualifier) + self.name
        if self.network is not None:
            single = self.network.num_addresses == 1
            return f"{text}:{self.network.network_address if single else self.network}"
        if self.domain:
            text += f":{self.domain}"
        if self.prefix4 != 32:
            text += f"/{self.prefix4}"
        if self.prefix6 != 128:
            text += f"//{self.prefix6}"
        return text


@dataclass(frozen=True)
class Modifier:
    """`redirect`, `exp`, or one that this record's readers must ignore (§6)."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(frozen=True)
class SPFRecord:
    """A record's terms in their order. `str()` renders it."""

    terms: tuple[Mechanism | Modifier, ...]

    @property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """Those that can be reached: up to and with the first `all` (§5.1)."""
        reachable: list[Mechanism] = []
        for term in self.terms:
            if isinstance(term, Mechanism):
                reachable.append(term)
                if term.name == "all":
                    break
        return tuple(reachable)

    @property
    def modifiers(self) -> tuple[Modifier, ...]:
        return tuple(term for term in self.terms if isinstance(term, Modifier))

    @property
    def has_all(self) -> bool:
        return any(mechanism.name == "all" for mechanism in self.mechanisms)

    @property
    def redirect(self) -> str | None:
        """The domain-spec whose record decides when nothing matched; void beside `all` (§6.1)."""
        if self.has_all:
            return None
        return next((m.value for m in self.modifiers if m.name == "redirect"), None)

    def __str__(self) -> str:
        return " ".join(["v=spf1", *map(str, self.terms)])


def is_spf(text: str) -> bool:
    """Whether receivers take this TXT record for an SPF record, valid or not (§4.5)."""
    return text[:6].lower() == "v=spf1" and text[6:7] in {"", " "}


def parse(text: str) -> SPFRecord:
    """Read a record. Raises `SPFSyntaxError`, naming the term that is wrong."""
    if not is_spf(text):
        raise SPFSyntaxError("An SPF record starts with v=spf1.")
    record = SPFRecord(tuple(_term(word) for word in text[6:].split(" ") if word))
    for name in ("redirect", "exp"):
        if sum(modifier.name == name for modifier in record.modifiers) > 1:
            raise SPFSyntaxError(f"{name}= appears twice.")
    return record


def same(one: str, other: str) -> bool:
    """Whether two texts are one record but for case and white space; order matters."""
    if one == other:
        return True
    try:
        return parse(one) == parse(other)
    except SPFSyntaxError:
        return one.lower().split() == other.lower().split()


def sender_terms(record: SPFRecord) -> list[Mechanism]:
    """The terms by which a record lets its own senders pass; its `all` is not one of them.

    A redirect is one, since an include passes the same. Raises `MergeConflict` where a term before
    them denies something, because the terms alone would let that pass.
    """
    terms = list(record.mechanisms)
    while terms and (terms[-1].name == "all" or not terms[-1].passes):
        terms.pop()
    if record.redirect is not None:
        terms.append(Mechanism("include", domain=record.redirect))
    if denied := next((term for term in terms if not term.passes), None):
        raise MergeConflict(f"Its senders cannot be added one by one, for it has {denied}.")
    return terms


def merge(existing: SPFRecord, wanted: SPFRecord, *, overrule: bool = False) -> SPFRecord:
    """The existing record, which also lets pass what `wanted` lets pass, and is otherwise the same.

    New terms go first: what stands before them could deny their addresses, or end the evaluation
    with an error (a broken include), so that they would not be reached. All that the record says
    about other addresses stays as it is. Raises `MergeConflict` where the record names a wanted
    term with another qualifier, which its owner must have meant, unless that is to be overruled;
    and as `sender_terms`.
    """
    ours = sender_terms(wanted)
    for other in existing.mechanisms:
        denies = not other.passes and replace(other, qualifier="+") in ours
        if denies and not overrule:
            raise MergeConflict(f"The record already has {other}, which does not let it pass.")
    leading: list[Mechanism] = []
    for present in existing.mechanisms:
        is_sure = present.network is not None or present.name == "all"
        if not (present.passes and is_sure) and present not in ours:
            break
        leading.append(present)
    added: list[Mechanism] = []
    for term in ours:
        if not _covers((*leading, *added), term):
            added.append(term)
    kept = (term for term in existing.terms if term not in added)
    return SPFRecord((*added, *kept)) if added else existing


def expand_domain(spec: str, *, ip: str, domain: str, sender: str) -> str:
    """A domain-spec with its macros replaced (§7). `p` is always `unknown`, as §7.2 allows."""
    address = ipaddress.ip_address(ip)
    local, _, sender_domain = sender.rpartition("@")
    dotted = str(address)
    if address.version == 6:
        dotted = ".".join(address.exploded.replace(":", ""))
    values = {
        "s": sender,
        "l": local or "postmaster",
        "o": sender_domain,
        "d": domain,
        "i": dotted,
        "p": "unknown",
        "h": sender_domain,
        "v": "in-addr" if address.version == 4 else "ip6",
    }

    def expand(found: re.Match[str]) -> str:
        letter, digits, reverse, delimiters, escape = found.groups()
        if escape:
            return {"%": "%", "_": " ", "-": "%20"}[escape]
        parts = re.split(f"[{re.escape(delimiters or '.')}]", values[letter.lower()])
        if reverse:
            parts.reverse()
        return ".".join(parts[-int(digits) :] if digits else parts)

    name = _MACRO.sub(expand, spec).rstrip(".")
    while len(name) > 253:  # §7.3: labels are dropped from the left
        name = name.partition(".")[2]
    return name


def _term(word: str) -> Mechanism | Modifier:
    if not all("!" <= character <= "~" for character in word):
        raise SPFSyntaxError(f"{word!r} has characters that SPF does not allow.")
    if modifier := _MODIFIER.fullmatch(word):
        name, value = modifier[1].lower(), modifier[2]
        if name in {"redirect", "exp"}:
            value = _domain_spec(value, word)
        else:
            _check_macros(value, word, letters="slodiphcrtv")
        return Modifier(name, value)
    mechanism = _MECHANISM.fullmatch(word)
    if mechanism is None:
        raise SPFSyntaxError(f"{word!r} is no SPF term.")
    qualifier, name, rest = mechanism[1] or "+", mechanism[2].lower(), mechanism[3]
    if name == "all" and not rest:
        return Mechanism(name, qualifier)
    if name in {"include", "exists"} and rest.startswith(":"):
        return Mechanism(name, qualifier, _domain_spec(rest[1:], word))
    if name == "ptr" and (not rest or rest.startswith(":")):
        return Mechanism(name, qualifier, _domain_spec(rest[1:], word) if rest else "")
    if name in {"a", "mx"} and (parts := _DUAL_CIDR.fullmatch(rest)):
        prefix4, prefix6 = int(parts["prefix4"] or 32), int(parts["prefix6"] or 128)
        if prefix4 > 32 or prefix6 > 128:
            raise SPFSyntaxError(f"{word!r} has an impossible prefix length.")
        domain = _domain_spec(parts["domain"], word) if parts["domain"] else ""
        return Mechanism(name, qualifier, domain, prefix4, prefix6)
    if name in {"ip4", "ip6"} and rest.startswith(":"):
        return Mechanism(name, qualifier, network=_network(name, rest[1:], word))
    raise SPFSyntaxError(f"{word!r} is no SPF term.")


def _network(name: str, text: str, word: str) -> Network:
    prefix = text.partition("/")[2]
    kind = ipaddress.IPv4Network if name == "ip4" else ipaddress.IPv6Network
    try:
        if "/" in text and (not prefix.isdigit() or prefix != str(int(prefix))):
            raise ValueError("no netmasks")
        return kind(text, strict=False)
    except ValueError as error:
        raise SPFSyntaxError(f"{word!r} is no {name} range.") from error


def _domain_spec(spec: str, word: str) -> str:
    _check_macros(spec, word, letters="slodiphv")
    if "%" in spec:
        if not (spec.endswith("}") or _MACRO.fullmatch(spec[-2:]) or _ends_in_top_label(spec)):
            raise SPFSyntaxError(f"{word!r} does not end in a domain.")
        return spec
    name = spec.lower().removesuffix(".")
    labels = name.split(".")
    if not _ends_in_top_label(spec) or len(name) > 253:
        raise SPFSyntaxError(f"{word!r} does not name a domain.")
    if not all(1 <= len(label) <= 63 for label in labels):
        raise SPFSyntaxError(f"{word!r} has an empty or too long label.")
    return name


def _ends_in_top_label(spec: str) -> bool:
    start = spec.removesuffix(".").rfind(".")
    return start > 0 and _TOP_LABEL.fullmatch(spec, start) is not None


def _check_macros(text: str, word: str, *, letters: str) -> None:
    if any(found[1] and found[1].lower() not in letters for found in _MACRO.finditer(text)):
        raise SPFSyntaxError(f"{word!r} uses a macro that is not allowed here.")
    if "%" in _MACRO.sub("", text):
        raise SPFSyntaxError(f"{word!r} has a lone % sign.")


def _covers(present: tuple[Mechanism, ...], wanted: Mechanism) -> bool:
    """Whether one of these terms, which pass, lets pass all that the wanted one does."""
    for term in present:
        if term == wanted or term.name == "all":
            return True
        if term.name == wanted.name and term.passes and term.network and wanted.network:
            lengths = term.network.prefixlen, wanted.network.prefixlen
            if lengths[0] <= lengths[1] and wanted.network.network_address in term.network:
                return True
    return False
