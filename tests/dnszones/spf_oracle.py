"""`check_host` of RFC 7208 §4.6 once more, as short and slow as can be: what the code is held to.

It shares nothing with the product but the world of names that a test writes down. Macros are those
that the tests use: `%{i}` and `%{d}`. No limits on lookups, and a loop is an error.
"""

import ipaddress
import re

from tests.dnszones.fakedns import World

RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}


class Broken(Exception):
    """permerror or temperror."""


def check_host(world: World, text: str, ip: str, domain: str) -> str:
    """What a receiver concludes of this record about a mail from `ip`."""
    try:
        return str(_record(world, text, ipaddress.ip_address(ip), domain, (domain,)))
    except Broken as error:
        return str(error)


def _record(world, text, ip, domain, path):
    redirect = None
    for word in text.split()[1:]:
        if found := re.fullmatch(r"([a-z]+)=(.*)", word):
            redirect = found[2] if found[1] == "redirect" else redirect
            continue
        [(qualifier, name, value)] = re.findall(r"^([-+~?]?)([a-z0-9]+):?(.*)$", word)
        if name == "include":
            matches = _of_name(world, _expanded(value, ip, domain), ip, path) == "pass"
        else:
            matches = _matches(world, name, value, ip, domain)
        if matches:
            return RESULTS[qualifier or "+"]
    if redirect:
        return _of_name(world, redirect, ip, path)
    return "neutral"


def _of_name(world, name, ip, path):
    if name in world.broken:
        raise Broken("temperror")
    texts = [text for text in world.records.get((name, "TXT"), []) if text.startswith("v=spf1")]
    if len(texts) != 1 or name in path or "nonsense" in texts[0]:
        raise Broken("permerror")
    return _record(world, texts[0], ip, name, (*path, name))


def _expanded(spec, ip, domain):
    return (spec or domain).replace("%{i}", str(ip)).replace("%{d}", domain)


def _matches(world, name, value, ip, domain):
    if name == "all":
        return True
    if name in {"ip4", "ip6"}:
        network = ipaddress.ip_network(value, strict=False)
        return network.version == ip.version and ip in network
    target, prefix = value, None
    if name in {"a", "mx"}:
        [parts] = re.findall(r"^([^/]*)(?:/(\d+))?(?://(\d+))?$", value)
        target, prefix = parts[0], parts[1 if ip.version == 4 else 2]
    target = _expanded(target, ip, domain)
    if target in world.broken:
        raise Broken("temperror")
    if name == "exists":
        return bool(world.records.get((target, "A")))
    if name == "ptr":
        names = world.records.get((str(ip), "PTR"), [])
        return any(
            (host == target or host.endswith("." + target)) and ip in _addresses(world, host, ip)
            for host in names
        )
    hosts = world.records.get((target, "MX"), []) if name == "mx" else [target]
    length = prefix or ip.max_prefixlen
    return any(
        ip in ipaddress.ip_network(f"{address}/{length}", strict=False)
        for host in hosts
        for address in _addresses(world, host, ip)
    )


def _addresses(world, host, ip):
    kind = "A" if ip.version == 4 else "AAAA"
    return [ipaddress.ip_address(text) for text in world.records.get((host, kind), [])]
