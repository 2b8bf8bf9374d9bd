"""`python -m sandbox`: the sandbox without Django."""

import argparse
import logging
import sys
from pathlib import Path

from .cloudflare import RATE_LIMIT
from .dns_servers import DEFAULT_DELAYS
from .process import run
from .room import Options


def main() -> None:
    parser = argparse.ArgumentParser(prog="sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=8001, help="HTTP; four more follow")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--database-url", required=True, help="where the mail views are")
    parser.add_argument(
        "--auto-delegate", type=float, metavar="SECONDS", help="delegate new domains by itself"
    )
    parser.add_argument("--resolver-delays", type=delays, default=DEFAULT_DELAYS)
    parser.add_argument(
        "--rate-limit", type=int, default=RATE_LIMIT, help="per account and 5 minutes; 0: none"
    )
    parser.add_argument(
        "--mail-policy", default="", metavar="HOST:PORT", help="who is asked before mail is sent"
    )
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        run(
            Options(
                port=given.port,
                state_dir=given.state_dir,
                database_url=given.database_url,
                auto_delegate=given.auto_delegate or None,
                resolver_delays=given.resolver_delays,
                rate_limit=given.rate_limit,
                mail_policy=given.mail_policy,
            )
        )
    except OSError as error:
        sys.exit(f"The sandbox cannot start: {error}")


def delays(text: str) -> tuple[float, ...]:
    """Four numbers of seconds, one for each resolver, separated by commas."""
    found = tuple(float(part) for part in text.split(","))
    if len(found) != len(DEFAULT_DELAYS) or min(found) < 0:
        raise argparse.ArgumentTypeError(delays.__doc__)
    return found


if __name__ == "__main__":
    main()
