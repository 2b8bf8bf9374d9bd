"""Boot checks: every bad setting gets a sentence that says how to mend it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from mpanel.core import checks
from mpanel.core.secrets import new_key

ROOT = Path(__file__).resolve().parents[2]


def sentences() -> list[str]:
    found = [
        *checks.settings_make_sense(None),
        *checks.networks_are_networks(None),
        *checks.support_can_be_reached(None),
        *checks.mail_server_has_a_key(None),
        *checks.sandbox_stays_inside(None),
    ]
    return [str(complaint.msg) for complaint in found]


def test_the_suites_own_settings_are_fine() -> None:
    assert sentences() == []


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("SECRET_KEY", "", "SECRET_KEY is missing"),
        ("SECRET_KEY", "short", "shorter than 32"),
        ("ENCRYPTION_KEYS", [], "ENCRYPTION_KEYS is empty"),
        ("ENCRYPTION_KEYS", ["a:b"], "base64 of 32 bytes"),
        ("DNS_RESOLVERS", "", "name at least one resolver"),
        ("DNS_RESOLVERS", "North=nowhere", "'North=nowhere'"),
        ("DNS_RESOLVERS", "North=127.0.0.11:x", "'North=127.0.0.11:x'"),
        ("MAILBOX_BCRYPT_COST", 3, "between 4 and 16"),
        ("MAILBOX_BCRYPT_COST", 17, "between 4 and 16"),
        ("JOB_LEASE", 1, "at least twice VENDOR_TIMEOUT"),
        ("WEBHOOK_ALLOWED_NETWORKS", ["10.1.2.3/16"], "'10.1.2.3/16' is not a network"),
        ("WEBHOOK_ALLOWED_NETWORKS", ["everywhere"], "'everywhere' is not a network"),
        ("MAILSERVER_ADMIN_KEY", "a-key-without-an-address", "must both be set"),
        ("SITE_URL", "panel.example.com", "full address"),
        ("SUPPORT_CONTACT", "the help desk", "an e-mail address, or an address with https://"),
        ("SUPPORT_CONTACT", "javascript:x@example.test", "SUPPORT_CONTACT must be"),
        ("SITE_URL", "ftp://panel.example.com", "full address"),
    ],
)
def test_a_bad_setting_is_explained(
    settings: LazySettings, name: str, value: object, says: str
) -> None:
    setattr(settings, name, value)
    (sentence,) = sentences()
    assert says in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOUDFLARE_BASE_URL", "https://api.cloudflare.com/client/v4"),
        ("CLOUDFLARE_BASE_URL", "http://127.0.0.1.evil.test/"),
        ("CLOUDFLARE_BASE_URL", "http://127.0.0.1@evil.test/"),
        ("MAILSERVER_HOST", "mail.example.com"),
        ("DNS_RESOLVERS", "Google=8.8.8.8"),
        ("DNS_ROOT_SERVERS", ["127.0.0.2", "198.41.0.4"]),
        ("MAILERS", {"default": {"BACKEND": "x", "OPTIONS": {"host": "mail.example.com"}}}),
    ],
)
def test_the_sandbox_never_leads_outside(settings: LazySettings, name: str, value: object) -> None:
    setattr(settings, name, value)
    (sentence,) = sentences()
    assert "leads outside" in sentence
    settings.SANDBOX = False
    assert sentences() == []


@pytest.mark.parametrize("name", checks.POISON)
def test_what_the_cloudflare_library_would_obey_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "somebody's")
    (sentence,) = sentences()
    assert name in sentence
    assert "somebody's" not in sentence


@pytest.mark.django_db
def test_every_complaint_is_made_at_once(settings: LazySettings) -> None:
    settings.SECRET_KEY = ""
    settings.ENCRYPTION_KEYS = []
    settings.SITE_URL = "nowhere"
    with pytest.raises(SystemCheckError) as caught:
        call_command("check")
    for number in (1, 2, 6):
        assert f"mpanel.E00{number}" in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CLOUDFLARE_BASE_URL": "https://api.cloudflare.com/client/v4"}, "leads outside"),
        ({"EMAIL_URL": "smtp://mail.example.com:25"}, "leads outside"),
        ({"CLOUDFLARE_API_KEY": "poison"}, "CLOUDFLARE_API_KEY"),
        ({"URGENT_WORKERS": "0"}, "URGENT_WORKERS must be 1 or more"),
    ],
)
def test_a_process_refuses_to_start(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "MPANEL_VAR_DIR": str(tmp_path),
        "SECRET_KEY": "a key for the tests, long enough for every check",
        "ENCRYPTION_KEYS": new_key(),
        "SANDBOX": "yes",
        "DJANGO_SETTINGS_MODULE": "mpanel.settings",
        **variables,
    }
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert started.returncode == 1
    assert says in started.stderr


def test_loopback_is_told_from_outside() -> None:
    for inside in ("localhost", "127.0.0.3:25", "http://[::1]:80/x", "127.0.0.1"):
        assert checks.is_loopback(inside)
    for outside in ("", "localhost.evil.test", "0x7f.1", "10.0.0.1", "http://evil.test#@127.0.0.1"):
        assert not checks.is_loopback(outside)


def test_production_settings_pass_djangos_own_checks(tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "MPANEL_VAR_DIR": str(tmp_path),
        "SECRET_KEY": "".join(chr(33 + number % 90) for number in range(7, 600, 11)),
        "ENCRYPTION_KEYS": new_key(),
        "SITE_URL": "https://panel.example.com",
        "ALLOWED_HOSTS": "panel.example.com",
    }
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level=WARNING"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
