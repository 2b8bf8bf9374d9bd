"""Boot checks: every bad setting gets a sentence that says how to mend it."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from mpanel.core.secrets import new_key
from mpanel.environment import Environment
from mpanel.operations import checks, ranges

Started = subprocess.CompletedProcess[str]
ROOT = Path(__file__).resolve().parents[2]


def sentences() -> list[str]:
    ours = [one for one in registry.get_checks() if one.__module__.startswith("mpanel.operations.")]
    return [
        str(complaint.msg)
        for check in ours
        for complaint in check(app_configs=None, databases=None)
    ]


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
        ("LOGIN_TRUSTED_NETWORKS", ["everywhere"], "'everywhere' is not a network"),
        ("MAILSERVER_ADMIN_KEY", "a-key-without-an-address", "must both be set"),
        ("SITE_URL", "panel.example.com", "full address"),
        ("SUPPORT_CONTACT", "the help desk", "an e-mail address, or an address with https://"),
        ("SUPPORT_CONTACT", "javascript:x@example.test", "SUPPORT_CONTACT must be"),
        ("SITE_URL", "https://", "full address"),
        ("SITE_URL", "https://panel.example.com/", "must end after the host"),
        ("SMARTLEAD_BASE_URL", "http://127.0.0.1:x/", "full address"),
        ("MAILSIGNER_ADDRESS", "127.0.0.1", "an address and a port"),
        ("MAILPOLICY_ADDRESS", "127.0.0.1:0", "an address and a port"),
        ("MAILSERVER_ADDRESSES", ["mail"], "'mail' is not an IP address"),
        ("BLOCKLIST_RESOLVER", "nowhere", "'nowhere' is not an address"),
        ("MAILSERVER_MX", "", "the name of a host"),
        ("ALLOWED_HOSTS", [], "ALLOWED_HOSTS is empty"),
        ("MAILSERVER_ROLE", "a role", "a plain name"),
        ("DEFAULT_FROM_EMAIL", "mPanel", "an address such as"),
        ("MAIL_OUTSIDE_FROM", "yes", "chosen, none or all"),
        ("MAILSIGNER_AUTHORS", "10027", "an address and a port"),
        ("MAILSIEVE_NEXT_HOP", "127.0.0.1:10027", "MAILSIGNER_AUTHORS must differ"),
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


@pytest.mark.parametrize("name", checks.CONFLICTING_ENV)
def test_what_the_cloudflare_library_would_obey_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "somebody's")
    (sentence,) = sentences()
    assert name in sentence
    assert "somebody's" not in sentence


@pytest.mark.parametrize("name", ranges.RANGES)
def test_a_number_out_of_its_range_is_explained(settings: LazySettings, name: str) -> None:
    least, most = ranges.RANGES[name]
    for value in (least - 1, most + 1, float("nan")):
        setattr(settings, name, value)
        assert any(sentence.startswith(f"{name} must lie between") for sentence in sentences())


def test_every_number_among_the_settings_has_a_range() -> None:
    text = (ROOT / "mpanel" / "settings.py").read_text()
    numbers = set(re.findall(r'env\.(?:int|float)\(\s*"(\w+)"', text))
    bounded = {*ranges.RANGES, "MAILBOX_BCRYPT_COST"}
    assert numbers - bounded == set()


@pytest.mark.django_db
def test_every_complaint_is_made_at_once(settings: LazySettings) -> None:
    settings.SECRET_KEY = ""
    settings.ENCRYPTION_KEYS = []
    settings.SITE_URL = "nowhere"
    with pytest.raises(SystemCheckError) as caught:
        call_command("check")
    for number in ("E001", "E002", "E030"):
        assert f"mpanel.{number}" in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"CLOUDFLARE_BASE_URL": "https://api.cloudflare.com/client/v4"}, "leads outside"),
        ({"EMAIL_URL": "smtp://mail.example.com:25"}, "leads outside"),
        ({"CLOUDFLARE_API_KEY": "poison"}, "CLOUDFLARE_API_KEY"),
        ({"URGENT_WORKERS": "0"}, "URGENT_WORKERS must lie between 1 and"),
    ],
)
def test_a_process_refuses_to_start(tmp_path: Path, variables: dict[str, str], says: str) -> None:
    started = starts(tmp_path, variables, "manage.py", "check")
    assert started.returncode == 1
    assert says in started.stderr


def test_static_files_are_collected_wherever_the_host_says(tmp_path: Path) -> None:
    """Also where they would lie if nobody had said anything."""
    folder = str(tmp_path / "static")
    started = starts(tmp_path, {"STATIC_ROOT": folder}, "manage.py", "check")
    assert started.returncode == 1
    assert f"STATIC_ROOT is {folder}, but no files were collected there." in started.stderr


def test_commands_take_the_settings_that_they_are_told(tmp_path: Path) -> None:
    for option in (["--settings=no.such.settings"], ["--settings", "no.such.settings"]):
        started = starts(tmp_path, {}, "manage.py", "check", *option)
        assert started.returncode != 0
        assert "No module named 'no'" in started.stderr


GUNICORN = ("-m", "gunicorn", "mpanel.wsgi", "--bind=127.0.0.1:0")


@pytest.mark.parametrize("command", [GUNICORN, ("manage.py", "tick")], ids=["gunicorn", "tick"])
def test_bad_settings_stop_every_process_with_a_sentence_each(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    bad = {"ENCRYPTION_KEYS": "", "TRUSTED_PROXIES": "-1", "API_PUBLIC_RATE": "0"}
    started = starts(tmp_path, bad, *command)
    assert started.returncode != 0
    assert "ENCRYPTION_KEYS is empty" in started.stderr
    assert "TRUSTED_PROXIES must lie between 0 and" in started.stderr
    assert "API_PUBLIC_RATE must lie between 1 and" in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.parametrize("command", [GUNICORN, ("manage.py", "tick")], ids=["gunicorn", "tick"])
def test_a_setting_that_cannot_be_read_stops_every_process_with_a_sentence(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    started = starts(tmp_path, {"DATABASE_URL": "foo:secret"}, *command)
    assert started.returncode != 0
    assert "DATABASE_URL must be an address such as postgres://" in started.stderr
    assert "secret" not in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.parametrize(
    ("read", "value", "says"),
    [
        (lambda env: env.bool("X"), "ture", "X must be yes or no, and is 'ture'"),
        (lambda env: env.int("X"), "two", "X must be a whole number, and is 'two'"),
        (lambda env: env.int("X"), "", "X must be a whole number"),
        (lambda env: env.float("X"), "soon", "X must be a number"),
        (lambda env: env.one_of("X", ("A", "B"), default="A"), "c", "X must be one of A, B"),
        (lambda env: env.database("X", default=""), "mysql://u:secret@h/d", "postgres://"),
        (lambda env: env.database("X", default=""), "postgres://", "postgres://"),
        (lambda env: env.database("X", default=""), "postgres://u@h:port/d", "postgres://"),
        (lambda env: env.database("X", default=""), "", "postgres://"),
        (lambda env: env.mail_server("X", default=""), "mail.example.com", "smtp+tls://"),
    ],
)
def test_what_cannot_be_read_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, read: Callable[[Environment], object], value: str, says: str
) -> None:
    monkeypatch.setenv("X", value)
    with pytest.raises(ImproperlyConfigured) as caught:
        read(Environment())
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_list_is_read_without_its_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "panel.example.com, www.example.com,")
    assert Environment().list("X") == ["panel.example.com", "www.example.com"]


def starts(folder: Path, variables: dict[str, str], *command: str) -> Started:
    """What a process of ours says that is started with these settings and ends by itself."""
    environment = {
        "PATH": os.environ["PATH"],
        "MPANEL_VAR_DIR": str(folder),
        "SECRET_KEY": "a key for the tests, long enough for every check",
        "ENCRYPTION_KEYS": new_key(),
        "SANDBOX": "yes",
        "DJANGO_SETTINGS_MODULE": "mpanel.settings",
        **variables,
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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
