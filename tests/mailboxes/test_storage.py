"""How full mailboxes are: measured in slices, shown with the figure's age, told of once."""

import smtplib
import ssl
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.urls import reverse
from django.utils import timezone

from events.models import Event
from mailboxes import storage
from mailboxes.models import Mailbox
from mailboxes.models.mailbox import ALMOST_FULL, FULL, MEGABYTE, filled_to
from mailboxes.storage import level_after, sweep
from mailboxes.vendors import measured_providers
from mailservers.models import MailDomain, MailServer
from mpanel.core import periodic, troubles
from tests.api import Api
from tests.cast import Person
from tests.mailserver.rooms import PASSWORD, domain_of, inbox, move_domain
from tests.sandboxes import RunningSandbox

KEY = "sandbox-admin-key"


@pytest.fixture
def measured(sandbox: RunningSandbox, settings: LazySettings) -> RunningSandbox:
    """The sandbox, whose mail server tells how full mailboxes are."""
    settings.MAILSERVER_ADMIN_URL, settings.MAILSERVER_ADMIN_KEY = sandbox.base_url, KEY
    return sandbox


def fill(sandbox: RunningSandbox, mailbox: Mailbox, octets: int) -> None:
    """A message of so many bytes to the mailbox, from itself."""
    text = "Subject: Big\r\n\r\n" + ("x" * 70 + "\r\n") * (octets // 72)
    tls = ssl.create_default_context(cafile=str(sandbox.ca_file))
    with smtplib.SMTP("localhost", sandbox.submission_port, timeout=60) as client:
        client.starttls(context=tls)
        client.login(mailbox.address, PASSWORD)
        client.sendmail(mailbox.address, [mailbox.address], text)


def measure_all() -> None:
    """Slice after slice, of which a busy machine needs several."""
    while sweep():
        pass


def outdate() -> None:
    """Let everything be due."""
    before = timezone.now() - timedelta(days=1)
    Mailbox.objects.exclude(storage_at=None).update(storage_at=before)
    MailDomain.objects.exclude(storage_at=None).update(storage_at=before)


def told(mailbox: Mailbox) -> list[str]:
    """The events about how full it is, in their order."""
    actions = ("mailbox.almost_full", "mailbox.full")
    found = Event.objects.filter(subject_id=mailbox.pk, action__in=actions).order_by("pk")
    return list(found.values_list("action", flat=True))


@pytest.mark.parametrize(
    ("before", "percent", "after"),
    [
        (None, 89, None),
        (None, 90, ALMOST_FULL),
        (None, 150, FULL),
        (ALMOST_FULL, 85, ALMOST_FULL),
        (ALMOST_FULL, 79, None),
        (ALMOST_FULL, 100, FULL),
        (FULL, 95, FULL),
        (FULL, 89, ALMOST_FULL),
        (FULL, 10, None),
    ],
)
def test_a_level_falls_later_than_it_rises(
    before: int | None, percent: int, after: int | None
) -> None:
    assert level_after(before, percent) == after


@pytest.mark.django_db(transaction=True)
def test_a_mailbox_that_fills_up_is_told_of_once_at_each_level(
    ada: Person, measured: RunningSandbox
) -> None:
    box, other = inbox(ada, "ada@ada.test", quota_mb=1), inbox(ada, "bo@ada.test")
    fill(measured, box, 960_000)
    measure_all()
    box.refresh_from_db()
    other.refresh_from_db()
    assert (box.storage_percent, other.storage_percent) == (91, 0)
    assert told(box) == ["mailbox.almost_full"]
    outdate()
    measure_all()
    assert told(box) == ["mailbox.almost_full"]
    fill(measured, box, 100_000)
    outdate()
    measure_all()
    assert told(box) == ["mailbox.almost_full", "mailbox.full"]
    sentence = Event.objects.filter(action="mailbox.full").get().sentence
    assert sentence == "ada@ada.test is full (1 of 1 MB). New mail is refused."
    assert told(other) == []
    # A larger quota ends it; once that is full, it is told of again.
    Mailbox.objects.filter(pk=box.pk).update(quota_mb=2)
    outdate()
    measure_all()
    Mailbox.objects.filter(pk=box.pk).update(quota_mb=1)
    outdate()
    measure_all()
    assert told(box) == ["mailbox.almost_full", "mailbox.full", "mailbox.full"]


@pytest.mark.django_db(transaction=True)
def test_who_could_not_be_measured_is_not_taken_for_empty(
    ada: Person, measured: RunningSandbox
) -> None:
    box = inbox(ada, "ada@ada.test", quota_mb=1)
    fill(measured, box, 960_000)
    sweep()
    Mailbox.objects.filter(pk=box.pk).update(provider="elsewhere")
    outdate()
    sweep()
    box.refresh_from_db()
    assert (box.stored_bytes, box.storage_told) == (None, ALMOST_FULL)
    Mailbox.objects.filter(pk=box.pk).update(provider="mailserver")
    outdate()
    sweep()
    box.refresh_from_db()
    assert box.storage_percent == 91
    assert told(box) == ["mailbox.almost_full"], "nothing new was learnt"


@pytest.mark.django_db(transaction=True)
def test_many_are_asked_for_in_few_requests_and_not_again_before_they_are_due(
    ada: Person, measured: RunningSandbox
) -> None:
    domains = [domain_of(ada, f"d{number}.test") for number in range(3)]
    Mailbox.objects.bulk_create(
        Mailbox(
            tenant=ada.tenant,
            domain=domain,
            local_part=f"b{number}",
            address=f"b{number}@{domain.name}",
            status=Mailbox.ACTIVE,
        )
        for domain in domains
        for number in range(storage.AT_ONCE // 2)
    )
    measured.forget_requests()
    measure_all()
    assert not Mailbox.objects.filter(stored_bytes=None).exists()
    assert measured.request_count("doveadm", "POST", "/v1", 200) == 2
    measure_all()
    assert measured.request_count("doveadm", "POST", "/v1", 200) == 2


@pytest.mark.django_db(transaction=True)
def test_a_server_that_is_silent_holds_up_no_other(
    ada: Person, measured: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, lost = inbox(ada, "ada@ada.test"), inbox(ada, "bo@bo.test")
    silent = MailServer(
        slug="a-silent-one",
        label="Silent",
        region="far",
        region_label="Far",
        host="localhost",
        mx_host="mx.far.test",
        spf_name="_spf.far.test",
        admin_url="http://127.0.0.1:1",
    )
    silent.set_admin_key("a-key-of-sixteen-signs")
    silent.save()
    MailDomain.objects.filter(domain=lost.domain_id).update(server=silent)
    measure_all()
    box.refresh_from_db()
    lost.refresh_from_db()
    silent.refresh_from_db()
    assert (box.stored_bytes, lost.stored_bytes) == (0, None)
    assert silent.storage_failed_at
    # It is asked again after a while; a slice that is over goes on with the next sweep.
    MailServer.objects.filter(pk=silent.pk).update(
        storage_failed_at=timezone.now() - timedelta(hours=1), admin_url=measured.base_url
    )
    silent.refresh_from_db()
    silent.set_admin_key(KEY)
    silent.save()
    MailDomain.objects.filter(domain=lost.domain_id).update(server=silent, storage_at=None)
    monkeypatch.setattr(periodic, "SLICE", 0)
    assert sweep() is True
    lost.refresh_from_db()
    assert lost.stored_bytes == 0


@pytest.mark.django_db
@pytest.mark.parametrize("quota_mb", [1, 7, 1024, 102_400])
@pytest.mark.parametrize("percent", [ALMOST_FULL, FULL])
def test_the_database_and_the_page_agree_who_is_full(
    ada: Person, quota_mb: int, percent: int
) -> None:
    box = inbox(ada, "ada@ada.test", quota_mb=quota_mb)
    for octets in range(quota_mb * MEGABYTE * percent // 100 - 1, quota_mb * MEGABYTE + 2):
        Mailbox.objects.filter(pk=box.pk).update(stored_bytes=octets)
        box.refresh_from_db()
        is_full = Mailbox.objects.filter(filled_to(percent)).exists()
        assert is_full == ((box.storage_percent or 0) >= percent)
        if octets > quota_mb * MEGABYTE * percent // 100 + 1:
            break


def test_only_who_keeps_mail_for_us_is_asked() -> None:
    assert measured_providers() == {"mailserver"}


@pytest.mark.django_db
def test_lists_and_pages_show_it_with_its_age(ada: Person) -> None:
    box, never = inbox(ada, "ada@ada.test", quota_mb=1024), inbox(ada, "bo@ada.test")
    at = timezone.now() - timedelta(hours=2)
    Mailbox.objects.filter(pk=box.pk).update(stored_bytes=512 * MEGABYTE, storage_at=at)
    listed = ada.client.get(reverse("mailbox-list")).content.decode().replace("\xa0", " ")
    assert "512.0 MB of 1.0 GB" in listed
    assert f"{at:%-d %b, %H:%M}" in listed
    assert "not measured yet" in listed
    page = ada.client.get(reverse("mailbox-detail", args=[box.pk])).content.decode()
    page = page.replace("\xa0", " ")
    assert "512.0 MB of 1.0 GB" in page
    assert "2 hours ago" in page
    url = reverse("mailbox-detail", args=[never.pk])
    # The suite's mail server has no interface; with one it is a matter of time.
    assert "does not say how full" in ada.client.get(url).content.decode()


@pytest.mark.django_db
def test_who_is_full_is_filtered_and_ordered(ada: Person) -> None:
    sizes = {"none": None, "some": 5 * MEGABYTE, "most": 9 * MEGABYTE, "full": 10 * MEGABYTE}
    for name, size in sizes.items():
        inbox(ada, f"{name}@ada.test", quota_mb=10, stored_bytes=size, storage_at=timezone.now())
    counts = {found.trouble.key: found.number for found in troubles.found_by(ada.actor)}
    assert (counts["full"], counts["almost_full"]) == (1, 1)
    api = Api(ada.token)

    def ordered(order: str) -> list[str]:
        found = api.get("/api/mailboxes", {"order": order}).body["items"]
        return [row["localPart"] for row in found]

    assert ordered("storedBytes") == ["some", "most", "full", "none"]
    assert ordered("-storedBytes") == ["full", "most", "some", "none"]
    rows = api.get("/api/mailboxes", {"order": "storedBytes"}).body["items"]
    assert rows[0]["storedBytes"] == 5 * MEGABYTE
    assert rows[0]["storageMeasuredAt"]
    assert (rows[3]["storedBytes"], rows[3]["storageMeasuredAt"]) == (None, None)


@pytest.mark.django_db
def test_a_former_owner_is_not_told_how_full_the_new_owners_mailboxes_are(
    ada: Person, cy: Person, settings: LazySettings
) -> None:
    """The server knows mailboxes by their address, which means the new owner's."""
    settings.MAILSERVER_ADMIN_URL, settings.MAILSERVER_ADMIN_KEY = "http://127.0.0.1:1", KEY
    before = timezone.now() - timedelta(days=1)
    box = inbox(ada, "ceo@ada.test", storage_told=FULL, storage_at=before)
    move_domain(box.domain, cy)
    while sweep():
        pass
    box.refresh_from_db()
    assert box.storage_at == before
    assert not MailServer.objects.exclude(storage_failed_at=None).exists(), "nobody was asked"
