"""The certificate authorities that HTTPS clients trust."""

import ssl
from functools import cache

import httpx


@cache
def certificate_authorities(*, trust_env: bool = True) -> ssl.SSLContext:
    """What `verify` of an httpx client takes; read once, since reading takes 30 ms of CPU time.

    `trust_env`: whether `SSL_CERT_FILE` and `SSL_CERT_DIR` may name other authorities.
    """
    return httpx.create_ssl_context(trust_env=trust_env)
