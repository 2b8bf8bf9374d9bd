"""The certificates to trust are read once for each process, not once for each call."""

import ssl

import pytest

from dnszones.providers.cloudflare import CloudflareDNS
from dnszones.providers.powerdns import PowerDNS
from mpanel.core.authorities import certificate_authorities


def test_clients_of_vendors_do_not_read_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {certificate_authorities(), certificate_authorities(trust_env=False)}

    def read_again(*args: object, **kwargs: object) -> ssl.SSLContext:
        raise AssertionError("the authorities are read again")

    monkeypatch.setattr(ssl, "create_default_context", read_again)
    url = "https://api.example.test"
    CloudflareDNS({"api_token": "x", "account_id": "y"}, base_url=url, timeout=1)
    PowerDNS({"api_key": "x", "nameservers": "ns1.example.test"}, base_url=url, timeout=1)
    assert known == {certificate_authorities(), certificate_authorities(trust_env=False)}


def test_they_check_names_and_certificates() -> None:
    for authorities in (certificate_authorities(), certificate_authorities(trust_env=False)):
        assert authorities.check_hostname
        assert authorities.verify_mode == ssl.CERT_REQUIRED
        assert authorities.get_ca_certs()
