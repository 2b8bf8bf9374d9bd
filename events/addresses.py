"""Where a webhook may lead: public addresses, and what a setting allows besides.

A name is resolved by us when the connection is made, every address it has must be allowed, and
the connection goes to such an address and nowhere else. So neither a name that points inside, nor
one that changes between check and use (DNS rebinding), reaches what stands behind our network.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from mpanel.core.authorities import certificate_authorities

type Address = ipaddress.IPv4Address | ipaddress.IPv6Address
type Network = ipaddress.IPv4Network | ipaddress.IPv6Network
type Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

LONGEST_URL = 2000
LOCAL_NAMES = (".localhost", ".local", ".internal", ".home.arpa", ".lan")
# Routed like public addresses, but they lead inside: Azure's host, the anycast 6to4 relays.
NOT_PUBLIC = (
    ipaddress.ip_network("168.63.129.16/32"),
    ipaddress.ip_network("192.88.99.0/24"),
)
# IPv4 within IPv6 (RFC 6052, RFC 8215, RFC 4291): the IPv4 address is what is reached.
TRANSLATED = (
    ipaddress.ip_network("64:ff9b::/96"),
    ipaddress.ip_network("::/96"),
)
LOCAL_TRANSLATED = ipaddress.ip_network("64:ff9b:1::/48")

# Names are looked up in threads that nobody waits for longer than a delivery may last. A lookup
# that hangs goes on in its thread, so there are several for each delivery in flight: else few
# nameservers that never answer would keep everybody's names from being looked up.
_lookups = ThreadPoolExecutor(max_workers=256, thread_name_prefix="lookup")


class AddressRefused(Exception):
    """The address may not be called; the text says why, and names no address."""


def parse_networks(entries: Sequence[str]) -> list[Network]:
    """Networks from a setting. Raises `ValueError` with the entry that is off."""
    return [ipaddress.ip_network(entry.strip()) for entry in entries if entry.strip()]


def allowed_networks() -> list[Network]:
    """Networks that are no part of the internet, but may be called nevertheless."""
    return parse_networks(settings.WEBHOOK_ALLOWED_NETWORKS)


def is_public(address: Address) -> bool:
    """Whether this is an address of the public internet, also behind every known translation."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id or address in LOCAL_TRANSLATED or address.is_site_local:
            return False
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if any(address in network for network in TRANSLATED):
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.sixtofour or address.teredo:
            return False
    if any(address in network for network in NOT_PUBLIC):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_allowed(address: Address, networks: Sequence[Network]) -> bool:
    """Whether the setting names this address."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)


def complaint_about(url: str) -> str:
    """Why an address cannot be that of a webhook, as far as it tells without asking DNS; or ""."""
    if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return "Give an address of at most 2,000 ASCII characters, without spaces."
    try:
        parts = urlsplit(url)
        port = parts.port
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        return "This is not an address."
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        complaint = "Give a full address that begins with https://."
    elif parts.username is not None or parts.password is not None:
        complaint = "Leave user and password out of the address. Check our signature instead."
    elif parts.fragment:
        complaint = "Leave out what follows the #: it is never sent."
    elif port is not None and port < 1024 and port not in {80, 443}:
        complaint = "The port must be 443, 80, or 1024 and above."
    else:
        complaint = _complaint_about_host(parts.hostname, https=parts.scheme == "https")
    return complaint


def _complaint_about_host(host: str, *, https: bool) -> str:
    networks = allowed_networks()
    try:
        address = ipaddress.ip_address(host)
        inside = not is_public(address)
        allowed = is_allowed(address, networks)
    except ValueError:
        # Where a name leads is looked at when the connection is made.
        name = host.rstrip(".")
        inside = "." not in name or name.endswith(LOCAL_NAMES)
        allowed = bool(networks)
    if allowed:
        return ""
    if inside:
        return "This leads to a private network. Give an address of the public internet."
    return "" if https else "The address must begin with https://."


async def look_up(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, as the system resolves it."""

    def ask() -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(entry[4][0]) for entry in found]

    return await asyncio.get_running_loop().run_in_executor(_lookups, ask)


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to checked addresses only. Certificates are checked against the name as ever.

    `resolve` gives all addresses of a host. Connections are never used twice, since two names may
    share an address, and a connection that was proved for one is not for the other.
    """

    def __init__(
        self,
        *,
        networks: Sequence[Network],
        resolve: Resolve = look_up,
        verify: ssl.SSLContext | None = None,
    ) -> None:
        self._networks = networks
        self._resolve = resolve
        self._inner = httpx.AsyncHTTPTransport(
            verify=verify or certificate_authorities(trust_env=False),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        port = request.url.port or (443 if request.url.scheme == "https" else 80)
        addresses = await self._checked(host, port, https=request.url.scheme == "https")
        name, failure = request.url, None
        for address in addresses:
            # The header Host was set from the name already.
            request.url = name.copy_with(host=str(address))
            request.extensions = {**request.extensions, "sni_hostname": host}
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def _checked(self, host: str, port: int, *, https: bool) -> list[Address]:
        """The addresses of a host. Raises `AddressRefused` if any of them may not be called."""
        try:
            found = [ipaddress.ip_address(one) for one in await self._resolve(host, port)]
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise AddressRefused("The name has no address.")
        addresses = list(dict.fromkeys(found))
        allowed = [is_allowed(address, self._networks) for address in addresses]
        for address, named in zip(addresses, allowed, strict=True):
            if not named and not is_public(address):
                raise AddressRefused("The name leads to an address that is not public.")
        if not https and not all(allowed):
            raise AddressRefused("Only https:// is spoken on the public internet.")
        return addresses

    async def aclose(self) -> None:
        await self._inner.aclose()
