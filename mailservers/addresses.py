"""Addresses as the mail servers read them."""


def without_extension(address: str) -> str:
    """The address whose mailbox has this one, too: `ada@…` of `ada+lists@…`."""
    local_part, at, domain = address.rpartition("@")
    return f"{local_part.partition('+')[0] or local_part}{at}{domain}"
