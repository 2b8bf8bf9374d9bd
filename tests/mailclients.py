"""Mail programs for tests."""

import socket
import ssl
from imaplib import IMAP4_SSL

from tests.processes import PATIENCE


class ImapFrom(IMAP4_SSL):
    """A session over IMAPS whose client has the address `source`."""

    def __init__(self, source: str, host: str, port: int, tls: ssl.SSLContext) -> None:
        self._source = source
        super().__init__(host, port, ssl_context=tls, timeout=PATIENCE)

    def _create_socket(self, timeout: float | None) -> ssl.SSLSocket:
        plain = socket.create_connection((self.host, self.port), timeout, (self._source, 0))
        secured: ssl.SSLSocket = self.ssl_context.wrap_socket(plain, server_hostname=self.host)
        return secured
