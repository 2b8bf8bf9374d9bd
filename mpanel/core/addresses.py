"""E-mail addresses and host names, each in the one form in which it is stored and used."""

import re

import idna

from mpanel.core.errors import Invalid
from mpanel.core.invisible import invisible_problem

# No address, written in any way, is longer; what is longer is not looked at.
MAX_INPUT = 2_048
MAX_LOCAL_PART, MAX_ADDRESS = 64, 254  # RFC 5321, 4.5.3.1
NO_MAIL_TLD = "invalid"  # names that never receive mail (RFC 6761)

_IPV4 = re.compile(r"[0-9]+(?:\.[0-9]+){3}", re.ASCII)
# A dot-atom of RFC 5321; quoted local parts are seen nowhere but in tests of validators.
_LOCAL_PART = re.compile(
    r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII
)
# What `clean_address` gives, roughly, as databases check it.
CANONICAL = r"^[a-z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-z0-9.-]+$"


class HostRefused(ValueError):
    """This is no host name; the text says why."""


class HostIsAddress(HostRefused):
    """This is an IP address."""


def ascii_host(host: str) -> str:
    """A host name in lower-case ASCII, without its trailing dot. Raises `HostRefused`.

    Unicode is mapped by UTS 46 (capitals, full-width letters and dots) and checked by IDNA 2008;
    lengths are those of RFC 1035, after encoding.
    """
    if any(character.isspace() for character in host):
        raise HostRefused("Enter one domain name, without spaces.")
    try:
        # Mapped first, so that a full-width dot at the end is a dot like any other.
        mapped = idna.uts46_remap(host, std3_rules=True).removesuffix(".")
        name = idna.encode(mapped).decode("ascii")
    except UnicodeError:
        raise HostRefused(_what_is_wrong(host)) from None
    # idna takes a trailing dot for the root, but ours is off already.
    if name.endswith("."):
        raise HostRefused(_what_is_wrong(host))
    if _IPV4.fullmatch(name):
        raise HostIsAddress
    return name


def clean_address(text: str, *, field: str = "email") -> str:
    """The one form of an e-mail address: lower-case ASCII, as mail is sent to it.

    White space around it is taken off. The domain is written in ASCII by `ascii_host`; the local
    part is ASCII already, because our mail goes over servers without SMTPUTF8. Invisible characters
    are refused, never removed: who pasted one sees what they would have signed up with.
    Sub-addresses (`ada+news@`) are addresses of their own: which separator a provider uses, and
    whether it uses one, only that provider knows. Raises `Invalid` for `field`.
    """
    text = text.strip()
    if problem := _form_problem(text):
        raise Invalid.field(field, problem)
    local_part, _, host = text.rpartition("@")
    if problem := _local_part_problem(local_part):
        raise Invalid.field(field, problem)
    try:
        domain = ascii_host(host)
    except HostIsAddress:
        raise Invalid.field(
            field, "Enter an address at a domain name, not at an IP address."
        ) from None
    except HostRefused as error:
        raise Invalid.field(field, f"After the @: {error}") from None
    if problem := _domain_problem(domain, local_part):
        raise Invalid.field(field, problem)
    return f"{local_part.lower()}@{domain}"


def address_problem(text: str) -> str:
    """Why this is no e-mail address, as a sentence; "" where it is one."""
    try:
        clean_address(text)
    except Invalid as error:
        return error.message
    return ""


def placeholder_address(row_id: object) -> str:
    """Stands in the place of an address that had to be given up: no mail goes there."""
    return f"{row_id}@no-mail.{NO_MAIL_TLD}"


def receives_mail(address: str) -> bool:
    """Whether mail may be sent there: not to the placeholders of addresses that were given up."""
    return not address.endswith(f".{NO_MAIL_TLD}")


def _form_problem(text: str) -> str:
    """What is wrong with the whole of it."""
    if len(text) > MAX_INPUT:
        return "This is too long to be an e-mail address."
    if problem := invisible_problem(text):
        return problem
    if any(map(str.isspace, text)):
        return "Enter one e-mail address, without spaces."
    local_part, _, host = text.rpartition("@")
    return "" if local_part and host else "Enter an e-mail address, such as you@example.com."


def _local_part_problem(local_part: str) -> str:
    if wrong := next((letter for letter in local_part if not letter.isascii()), ""):
        return f"“{wrong}” cannot be used before the @. Use the letters a to z, digits and signs."
    if len(local_part) > MAX_LOCAL_PART:
        return f"At most {MAX_LOCAL_PART} characters are allowed before the @."
    if not _LOCAL_PART.fullmatch(local_part.lower()):
        return (
            "Before the @, use letters, digits and signs such as + - _, with dots only "
            "between them."
        )
    return ""


def _domain_problem(domain: str, local_part: str) -> str:
    """What is wrong with a domain that is a host name."""
    ending = domain.rpartition(".")[2]
    if ending == domain or ending.isdecimal():
        return "Enter the whole domain with its ending, such as you@example.com."
    if ending == NO_MAIL_TLD:
        return f"Addresses under “.{NO_MAIL_TLD}” never receive mail."
    if len(local_part) + 1 + len(domain) > MAX_ADDRESS:
        return f"An e-mail address has at most {MAX_ADDRESS} characters."
    return ""


def _what_is_wrong(host: str) -> str:
    labels = host.split(".")
    if "" in labels[:-1] or host.endswith(".."):
        return "Enter a domain name with single dots between its parts, such as example.com."
    if any(len(label) > 63 for label in labels):
        return "Each part of a domain name, between the dots, has at most 63 characters."
    if len(host) > 253:
        return "A domain name has at most 253 characters."
    return (
        "This is not a domain name: its parts have letters, digits and hyphens, "
        "and do not begin or end with a hyphen."
    )
