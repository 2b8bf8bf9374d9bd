"""Asking a policy service about a message, as Postfix does in smtpd_data_restrictions.

http://www.postfix.org/SMTPD_POLICY_README.html
"""

import asyncio
import re

PATIENCE = 5.0  # seconds; Postfix has smtpd_policy_service_timeout
# What Postfix answers by itself when nobody answers it (smtpd_policy_service_default_action).
DEFAULT_ACTION = "451 4.3.5 Server configuration problem"
REPLY = re.compile(r"([45]\d\d) ?([45]\.\d+\.\d+ )?(.*)")


async def refusal(address: str, attributes: dict[str, str]) -> str:
    """The reply by which a message is refused at DATA, "" where it may pass.

    `address`: `host:port` of the service, "" for none.
    """
    if not address:
        return ""
    try:
        async with asyncio.timeout(PATIENCE):
            action = await _ask(address, attributes)
    except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
        action = DEFAULT_ACTION
    if not (reply := REPLY.fullmatch(action)):  # DUNNO, OK, PREPEND ...
        return ""
    code, enhanced, text = reply.groups()
    return f"{code} {enhanced or ''}<DATA>: Data command rejected: {text}"


async def _ask(address: str, attributes: dict[str, str]) -> str:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        lines = {"request": "smtpd_access_policy", **attributes}
        # No value can begin a line of its own: what a client says is cut at its first line.
        clean = (f"{name}={value.partition('\n')[0]}\n" for name, value in lines.items())
        writer.write(("".join(clean) + "\n").encode())
        answer = (await reader.readuntil(b"\n\n")).decode()
    finally:
        writer.close()
    name, _, action = answer.partition("\n")[0].partition("=")
    if name != "action":
        raise ValueError(answer)
    return action
