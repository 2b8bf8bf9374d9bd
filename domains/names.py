"""From what a person pastes to the one domain that can be connected."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

import idna
from publicsuffixlist import PublicSuffixList

from mpanel.core.addresses import MAX_INPUT, HostIsAddress, HostRefused, ascii_host
from mpanel.core.errors import Invalid

# In the public suffix list, but for reverse lookups (RFC 3172) and Tor (RFC 7686), not for mail.
UNFIT_TLDS = frozenset({"arpa", "onion"})

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://|mailto:|//", re.IGNORECASE | re.ASCII)
_END_OF_HOST = re.compile(r"[/?#\\]")
_PORT = re.compile(r":[0-9]*$", re.ASCII)
_IP_ADDRESS = "This is an IP address. Enter a domain name, such as example.com."


@dataclass(frozen=True)
class DomainName:
    """A registrable domain. `ascii` is what DNS holds (punycode), `unicode` what people read.

    `suffix` is the public suffix below which it stands, in ASCII: `co.uk` for `example.co.uk`.
    """

    ascii: str
    unicode: str
    suffix: str

    def __str__(self) -> str:
        return self.ascii


def clean_domain(text: str, *, extra_suffixes: Collection[str] = ()) -> DomainName:
    """The domain that was meant by `text`. Raises `Invalid` for the field `domain`.

    Taken off: white space, a scheme, user and password, a port, path, query and fragment, the
    trailing dot, and a leading `www.` where a registrable domain remains. Of an e-mail address
    the domain is taken. Unicode is mapped by UTS 46 (capitals, full-width letters and dots) and
    checked by IDNA 2008; lengths are those of RFC 1035.

    Only a name right below a public suffix can be connected, because only there are nameservers
    delegated; the list is https://publicsuffix.org. Its private section counts: `uk.com` and
    `github.io` are suffixes, so they are refused and `ada.uk.com` is accepted.
    Whether such a name can be delegated shows when its nameservers are verified.
    `extra_suffixes` (ASCII, such as `test`) count as public suffixes too.
    """
    name = _to_ascii(_host(text))
    ending = name.rpartition(".")[2]
    suffix = _suffix(name, extra_suffixes)
    if suffix is None or ending in UNFIT_TLDS:
        raise _invalid(
            f"Domains cannot be registered under “.{ending}”. Check the spelling."
            if "." in name
            else "Enter the whole domain with its ending, such as example.com."
        )
    if name == suffix:
        raise _invalid(
            f"“{name}” is an ending under which others register domains. "
            f"Enter your own domain, such as example.{name}."
        )
    above, _, label = name.removesuffix(f".{suffix}").rpartition(".")
    registrable = f"{label}.{suffix}"
    if above not in {"", "www"}:
        raise _invalid(f"“{name}” is a subdomain. Connect {registrable} instead.")
    return DomainName(ascii=registrable, unicode=idna.decode(registrable), suffix=suffix)


def is_in_a_public_domain(name: str) -> bool:
    """Whether a name in ASCII is a domain that can be registered, or lies in one."""
    return _public_suffixes().privatesuffix(name) is not None


def _host(text: str) -> str:
    """The host of a pasted URL, e-mail address or name, not yet checked."""
    if len(text) > MAX_INPUT:
        raise _invalid("This is too long to be a domain name.")
    text = text.strip()
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() :] if scheme else text
    host = _END_OF_HOST.split(rest, maxsplit=1)[0].rpartition("@")[2].strip()
    if not host:
        raise _invalid("Enter a domain name, such as example.com.")
    # Brackets, or more than one colon, are only seen in IPv6.
    if host.startswith("[") or host.count(":") > 1:
        raise _invalid(_IP_ADDRESS)
    return _PORT.sub("", host)


def _to_ascii(host: str) -> str:
    """`ascii_host`, with its reasons for the field `domain`."""
    try:
        return ascii_host(host)
    except HostIsAddress:
        raise _invalid(_IP_ADDRESS) from None
    except HostRefused as error:
        raise _invalid(str(error)) from None


def _suffix(name: str, extra_suffixes: Collection[str]) -> str | None:
    found = [suffix for suffix in extra_suffixes if f".{name}".endswith(f".{suffix}")]
    if public := _public_suffixes().publicsuffix(name):
        found.append(public)
    return max(found, key=len, default=None)


@cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


def _invalid(message: str) -> Invalid:
    return Invalid.field("domain", message)
