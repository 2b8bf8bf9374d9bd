"""Source 2 over HTTP: mailboxes one by one, in bulk and from lists."""

from typing import Any
from uuid import uuid4

import pytest

from billing.models import Account
from domains.models import Domain
from events.models import Event
from mailboxes.models import Alias, Batch, Mailbox
from mailservers.models import MailDomain
from provisioning.models import Job
from tenants.services import create_api_key
from tests.api import Answer, Api, early_in_a_minute
from tests.cast import Person
from tests.contract.test_source_1 import ready
from tests.mailboxes.test_services import can_log_in
from tests.sandboxes import RunningSandbox
from tests.wizard.rows import estate
from tests.work import until, work_off

pytestmark = pytest.mark.django_db
HERE = "/api/mailboxes"
FIELDS = {
    "id", "tenantId", "domainId", "domain", "email", "localPart", "firstName", "lastName",
    "provider", "status", "quotaMb", "passwordPending", "healthScore", "sendingPaused", "error",
    "createdAt", "updatedAt", "storedBytes", "storageMeasuredAt",
}  # fmt: skip


def at(mailbox: Mailbox | str, *rest: str) -> str:
    return "/".join([HERE, str(mailbox.pk if isinstance(mailbox, Mailbox) else mailbox), *rest])


# --- One by one ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_mailbox_is_made_changes_its_password_and_goes(
    ada: Person, sandbox: RunningSandbox
) -> None:
    api = Api(ada.token)
    ready(ada)
    made = api.post(HERE, {"email": "Anna@acme.test", "firstName": "Anna", "quotaMb": 2048})
    assert made.status == 201, made.body
    assert set(made.body) == {*FIELDS, "generatedPassword", "jobId"}
    assert (made.body["email"], made.body["localPart"]) == ("anna@acme.test", "anna")
    assert (made.body["status"], made.body["quotaMb"]) == ("provisioning", 2048)
    path, first = at(made.body["id"]), made.body["generatedPassword"]
    assert api.put(f"{path}/password", {}).status == 409
    until(lambda: api.get(path).body["status"] == "active")
    assert can_log_in(sandbox, "anna@acme.test", first)

    changed = api.put(f"{path}/password", {"password": "SecurePass123!"})
    assert changed.status == 200
    assert (changed.body["generatedPassword"], changed.body["passwordPending"]) == (
        "SecurePass123!",
        True,
    )
    assert not can_log_in(sandbox, "anna@acme.test", first)
    until(lambda: not api.get(path).body["passwordPending"])
    assert can_log_in(sandbox, "anna@acme.test", "SecurePass123!")
    second = api.put(f"{path}/password", {}).body["generatedPassword"]
    assert len(second) == 24
    until(lambda: can_log_in(sandbox, "anna@acme.test", second))

    assert api.post(f"{path}/suspend").body["status"] == "suspended"
    assert not can_log_in(sandbox, "anna@acme.test", second)
    assert api.post(f"{path}/activate").body["status"] == "active"
    until(lambda: can_log_in(sandbox, "anna@acme.test", second))

    Alias.objects.create(
        tenant=ada.tenant, domain_id=made.body["domainId"], mailbox_id=made.body["id"],
        local_part="a", address="a@acme.test",
    )  # fmt: skip
    gone = api.delete(path)
    assert gone.status == 202
    assert (gone.body["type"], gone.body["targetId"]) == ("mailboxes.delete", made.body["domainId"])
    assert api.delete(path).body["id"] == gone.body["id"], "the job under way is answered"
    assert api.get(path).body["status"] == "deleting"
    until(lambda: api.get(path).status == 404)
    row = Mailbox.objects.get(pk=made.body["id"])
    assert row.deleted_at is not None
    assert (row.sealed_password, row.password_hash, row.mail_purged_at) == ("", "", None)
    assert not Alias.objects.exists()
    assert api.post(HERE, {"email": "anna@acme.test"}).error == "USER_ALREADY_EXISTS"
    everything = "".join(str(vars(event)) for event in Event.objects.all())
    everything += "".join(str(vars(job)) for job in Job.objects.all())
    assert not any(password in everything for password in (first, second, "SecurePass123!"))


def test_a_given_password_is_the_one(ada: Person) -> None:
    domain = ready(ada)
    made = Api(ada.token).post(
        HERE, {"domainId": str(domain.pk), "localPart": "Bob", "password": "SecurePass123!"}
    )
    assert made.body["generatedPassword"] == "SecurePass123!"
    assert Mailbox.objects.get(pk=made.body["id"]).password() == "SecurePass123!"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, "email"),
        ({"email": "anna@acme.test", "localPart": "anna"}, "email"),
        ({"localPart": "anna"}, "email"),
        ({"email": "anna"}, "email"),
        ({"email": "a..b@acme.test"}, "email"),
        ({"email": 'x"\r\n@acme.test'}, "email"),
        ({"email": "anna@acme.test", "password": "short"}, "password"),
        ({"email": "anna@acme.test", "password": "=SecurePass123"}, "password"),
        ({"email": "anna@acme.test", "password": "pässword-of-many"}, "password"),
        ({"email": "anna@acme.test", "quotaMb": 0}, "quotaMb"),
        ({"email": "anna@acme.test", "quotaMb": 10**9}, "quotaMb"),
        ({"email": "anna@acme.test", "quotaMb": "1024"}, "quotaMb"),
        ({"email": "anna@acme.test", "firstName": "A\r\nBcc: x@y.test"}, "firstName"),
        ({"email": "anna@acme.test", "lastName": "=1+1"}, "lastName"),
        ({"email": "anna@acme.test", "tenantId": "x"}, "tenantId"),
    ],
)
def test_what_cannot_be_a_mailbox(ada: Person, changes: dict[str, Any], named: str) -> None:
    ready(ada)
    answer = Api(ada.token).post(HERE, changes)
    assert (answer.status, answer.error) == (400, "VALIDATION_ERROR")
    assert list(answer.body["error"]["details"]) == [named]
    assert not Mailbox.objects.exists()


def test_what_stands_against_a_mailbox(ada: Person, cy: Person, bo: Person) -> None:
    api, wish = Api(ada.token), {"email": "anna@acme.test"}
    assert api.post(HERE, wish).error == "DOMAIN_NOT_FOUND"
    ready(cy)
    assert api.post(HERE, wish).error == "DOMAIN_NOT_FOUND"
    assert api.post(HERE, {"domainId": str(uuid4()), "localPart": "a"}).status == 404
    domain = ready(ada, "adas.test")
    wish = {"email": "anna@adas.test"}
    assert Api(bo.token).post(HERE, wish).error == "FORBIDDEN"
    Domain.objects.filter(pk=domain.pk).update(status=Domain.VERIFIED)
    assert api.post(HERE, wish).error == "DOMAIN_NOT_READY"
    Domain.objects.filter(pk=domain.pk).update(status=Domain.READY)
    Account.objects.create(tenant=ada.tenant, trial_ends_at="2000-01-01T00:00Z")
    assert api.post(HERE, wish).error == "TRIAL_EXPIRED"
    assert not Mailbox.objects.exists()


def test_an_aliass_address_makes_no_mailbox(ada: Person) -> None:
    adas = estate(ada)
    for name in (adas.alias.local_part, adas.mailboxes[0].local_part):
        answer = Api(ada.token).post(HERE, {"email": f"{name}@example.test"})
        assert answer.error == "USER_ALREADY_EXISTS"


def test_quotas_have_bounds_and_vendors_keep_their_own(ada: Person) -> None:
    box = estate(ada).mailboxes[0]
    api = Api(ada.token)
    assert api.put(at(box, "quota"), {"quotaMb": 1}).body["quotaMb"] == 1
    assert api.put(at(box, "quota"), {"quotaMb": 102_400}).body["quotaMb"] == 102_400
    for wrong in (0, -1, 102_401, 1.5, True, "9", None):
        assert api.put(at(box, "quota"), {"quotaMb": wrong}).error == "VALIDATION_ERROR"
    assert api.put(at(box, "quota"), {}).error == "VALIDATION_ERROR"
    sentence = Event.objects.filter(action="mailbox.quota_changed").latest("pk").sentence
    assert sentence == "Changed the quota of box0@example.test from 1 to 102400 MB."
    Mailbox.objects.update(provider="google-workspace")
    assert api.put(at(box, "quota"), {"quotaMb": 5}).error == "MANAGED_ELSEWHERE"


@pytest.mark.parametrize("status", ["provisioning", "failed", "deleting"])
def test_what_a_status_forbids(ada: Person, status: str) -> None:
    box = estate(ada).mailboxes[0]
    Mailbox.objects.update(status=status)
    api, before = Api(ada.token), Mailbox.objects.get(pk=box.pk).sealed_password
    for answer in (
        api.put(at(box, "password"), {}),
        api.post(at(box, "suspend")),
        api.post(at(box, "activate")),
    ):
        assert (answer.status, answer.error) == (409, "CONFLICT")
    row = Mailbox.objects.get(pk=box.pk)
    assert (row.status, row.sealed_password, row.password_pending) == (status, before, False)


def test_suspending_tells_the_provider_once(ada: Person) -> None:
    box = estate(ada).mailboxes[0]
    for _ in range(2):
        assert Api(ada.token).post(at(box, "suspend")).status == 200
    jobs = Job.objects.filter(workflow="mailboxes.enforce")
    assert [job.params for job in jobs] == [{"mailboxes": [str(box.pk)]}]


def test_a_key_needs_to_reveal_where_a_password_is_answered(ada: Person) -> None:
    box = estate(ada).mailboxes[0]
    Domain.objects.update(status=Domain.READY)
    key = create_api_key(ada.actor, name="x", scopes=["mailboxes:write"]).plain
    api, path = Api(key), at(box, "password")
    refused = [
        api.post(HERE, {"email": "anna@example.test"}),
        api.put(path, {"password": "SecurePass123!"}),
        api.post(f"{HERE}/bulk", {"action": "reset-password", "ids": [str(box.pk)]}),
        api.post(f"{HERE}/import", {"rows": [{"email": "anna@example.test"}]}),
        api.put(f"/api/email/mailboxes/{box.pk}", {"password": "SecurePass123!"}),
    ]
    assert [answer.error for answer in refused] == ["SCOPE_MISSING"] * 5
    assert Mailbox.objects.count() == 2
    assert api.post(at(box, "suspend")).status == 200
    both = create_api_key(ada.actor, name="y", scopes=["mailboxes:write", "mailboxes:reveal"])
    assert Api(both.plain).post(at(box, "activate")).status == 200
    assert Api(both.plain).put(path, {}).status == 200
    reader = create_api_key(ada.actor, name="z", scopes=["mailboxes:read"]).plain
    assert Api(reader).get(HERE).status == 200
    assert Api(reader).delete(at(box)).error == "SCOPE_MISSING"


def test_the_list_is_found_filtered_ordered_and_paged(ada: Person, cy: Person) -> None:
    adas = estate(ada, inboxes=5)
    other = estate(ada, "other.test", inboxes=1)
    estate(cy, "cy.test")
    Mailbox.objects.filter(pk=adas.mailboxes[3].pk).update(status=Mailbox.SUSPENDED)
    Mailbox.objects.filter(pk=adas.mailboxes[4].pk).update(status=Mailbox.DELETED)
    api = Api(ada.token)

    def found(**query: Any) -> list[str]:
        answer = api.get(HERE, query)
        assert answer.status == 200, answer.body
        assert answer.body["total"] >= len(answer.body["items"])
        assert all(set(item) == FIELDS for item in answer.body["items"])
        return [item["email"].partition("@")[0] for item in answer.body["items"]]

    assert found() == ["box0", "box0", "box1", "box2", "box3"]
    assert found(domainId=str(other.domain.pk)) == ["box0"]
    assert found(status="suspended") == ["box3"]
    assert found(search="OTHER") == ["box0"]
    assert found(order="-email", pageSize=2) == ["box3", "box2"]
    assert found(order="-createdAt", pageSize=1) == ["box0"]
    assert found(page=3, pageSize=2) == ["box3"]
    customer = str(ada.tenant.customer.pk)
    assert len(found(customerId=customer)) == 5
    assert found(customerId=str(cy.tenant.customer.pk)) == found(customerId=str(uuid4())) == []
    assert found(domainId=str(uuid4())) == []
    for wrong in ({"pageSize": 101}, {"order": "x"}, {"status": "deleted"}, {"x": 1}):
        assert api.get(HERE, wrong).status == 400


@pytest.mark.parametrize("path", [HERE, "/api/email/aliases", "/api/email/domains"])
def test_lists_cost_the_same_for_many(
    ada: Person, path: str, django_assert_num_queries: Any
) -> None:
    api = Api(ada.token)
    for number in range(30):
        adas = estate(ada, f"d{number}.test", inboxes=1)
        MailDomain.objects.create(
            tenant=ada.tenant, domain=adas.domain, credential_id=adas.credential_id
        )
        if number in {2, 29}:
            early_in_a_minute()
            assert api.get(path, {"pageSize": 100}).body["total"] == number + 1
            with django_assert_num_queries(3):
                api.get(path, {"pageSize": 100})


# --- Many at once ----------------------------------------------------------------------------


def bulk(person: Person, action: str, ids: list[Any], **more: Any) -> Answer:
    wish = {"action": action, "ids": [str(one) for one in ids], **more}
    return Api(person.token).post(f"{HERE}/bulk", wish)


def test_one_that_cannot_change_blocks_no_other(ada: Person, cy: Person) -> None:
    adas, theirs = estate(ada, inboxes=4), estate(cy, "cy.test")
    failed, *rest = adas.mailboxes
    Mailbox.objects.filter(pk=failed.pk).update(status=Mailbox.FAILED)
    ids = [failed.pk, theirs.mailboxes[0].pk, *(box.pk for box in rest), rest[0].pk]
    done = bulk(ada, "suspend", ids)
    assert done.status == 200, done.body
    assert done.body["success"] is False
    assert done.body["summary"] == {"total": 5, "successful": 3, "failed": 2}
    first, foreign, *others = done.body["results"]
    assert (first["success"], first["error"]["code"]) == (False, "CONFLICT")
    assert (foreign["id"], foreign["error"]["code"]) == (
        str(theirs.mailboxes[0].pk),
        "MAILBOX_NOT_FOUND",
    )
    assert {found["mailbox"]["status"] for found in others} == {"suspended"}
    assert Mailbox.objects.get(pk=theirs.mailboxes[0].pk).status == Mailbox.ACTIVE
    assert Job.objects.filter(workflow="mailboxes.enforce").count() == 1
    assert Event.objects.filter(action="mailbox.suspended").count() == 3
    assert bulk(ada, "activate", [box.pk for box in rest]).body["success"] is True


def test_passwords_are_reset_and_quotas_set(ada: Person) -> None:
    adas = estate(ada, inboxes=3)
    ids = [box.pk for box in adas.mailboxes]
    reset = bulk(ada, "reset-password", ids).body["results"]
    passwords = {found["mailbox"]["email"]: found["generatedPassword"] for found in reset}
    assert passwords == {box.address: box.password() for box in Mailbox.objects.all()}
    assert len(set(passwords.values())) == 3
    assert not Mailbox.objects.exclude(password_hash="", password_pending=True).exists()
    assert bulk(ada, "set-quota", ids, quotaMb=77).body["success"] is True
    assert set(Mailbox.objects.values_list("quota_mb", flat=True)) == {77}
    work_off()
    assert not Mailbox.objects.filter(password_hash="").exists()


def test_several_domains_mailboxes_go_with_a_job_each(ada: Person) -> None:
    boxes = [*estate(ada).mailboxes, *estate(ada, "other.test").mailboxes]
    done = bulk(ada, "delete", [box.pk for box in boxes])
    assert {found["mailbox"]["status"] for found in done.body["results"]} == {"deleting"}
    assert Job.objects.filter(workflow="mailboxes.delete").count() == 2


def test_bulk_has_bounds(ada: Person, bo: Person) -> None:
    box = estate(ada).mailboxes[0]
    for answer in (
        bulk(ada, "suspend", []),
        bulk(ada, "suspend", [uuid4() for _ in range(501)]),
        bulk(ada, "explode", [box.pk]),
        bulk(ada, "suspend", ["x"]),
        bulk(ada, "set-quota", [box.pk]),
        bulk(ada, "set-quota", [box.pk], quotaMb=0),
        bulk(ada, "suspend", [box.pk], quotaMb=5),
    ):
        assert answer.error == "VALIDATION_ERROR"
    assert bulk(ada, "suspend", [uuid4() for _ in range(500)]).body["summary"]["failed"] == 500
    assert bulk(bo, "suspend", [box.pk]).error == "FORBIDDEN"
    assert Mailbox.objects.get(pk=box.pk).status == Mailbox.ACTIVE


# --- From a list -----------------------------------------------------------------------------


def sent(person: Person, csv: bytes | str) -> Answer:
    raw = csv.encode() if isinstance(csv, str) else csv
    api = Api(person.token)
    answer = api.client.generic(
        "POST", f"{HERE}/import", raw, content_type="text/csv", headers=api.headers
    )
    return api._answer(answer)


def outcomes(answer: Answer) -> list[str]:
    """The address of each row that was made, the code of each that was not."""
    assert answer.status == 200, answer.body
    found = answer.body["results"]
    assert [result["row"] for result in found] == list(range(1, len(found) + 1))
    return [
        result["mailbox"]["email"] if result["success"] else result["error"]["code"]
        for result in found
    ]


@pytest.mark.django_db(transaction=True)
def test_a_list_makes_mailboxes_that_log_in(ada: Person, sandbox: RunningSandbox) -> None:
    ready(ada)
    rows = [
        {"email": "anna@acme.test", "firstName": "Anna", "quotaMb": 50},
        {"email": "bob@acme.test", "password": "SecurePass123!"},
        {"email": "carl@acme.test", "password": "AnotherPass123"},
        {"email": "not an address"},
    ]
    done = Api(ada.token).post(f"{HERE}/import", {"rows": rows})
    assert outcomes(done)[:3] == ["anna@acme.test", "bob@acme.test", "carl@acme.test"]
    assert done.body["summary"] == {"total": 4, "successful": 3, "failed": 1}
    assert Batch.objects.filter(count__gt=0).count() == 2, "chosen passwords have their own"
    passwords = {
        result["email"]: result["generatedPassword"] for result in done.body["results"][:3]
    }
    seen: set[str] = set()

    def proved() -> bool:
        seen.update(Mailbox.objects.exclude(proof_digest="").values_list("address", flat=True))
        return not Mailbox.objects.unverified().exists()

    until(proved)
    assert seen <= {"anna@acme.test"}, "a password that a person chose never has a fast digest"
    assert all(can_log_in(sandbox, email, password) for email, password in passwords.items())


def test_hostile_rows_hurt_nobody(ada: Person, cy: Person) -> None:
    ready(ada), ready(cy, "cys.test")
    rows = {
        "good@acme.test": "good@acme.test",
        "good@acme.test ": "USER_ALREADY_EXISTS",
        "UPPER@ACME.TEST": "upper@acme.test",
        "wide@ａｃｍｅ.test": "wide@acme.test",
        "x@cys.test": "DOMAIN_NOT_FOUND",
        "=cmd|' /C calc'!A0@acme.test": "INVALID_USERNAME",
        "a b@acme.test": "INVALID_USERNAME",
        '"quo\nted"@acme.test': "INVALID_USERNAME",
        "x@acme.test\r\nrcpt to:<y@z.test>": "INVALID_USERNAME",
        f"{'x' * 65}@acme.test": "INVALID_USERNAME",
        "": "VALIDATION_ERROR",
        "@": "VALIDATION_ERROR",
        "no-at": "VALIDATION_ERROR",
    }
    done = Api(ada.token).post(f"{HERE}/import", {"rows": [{"email": email} for email in rows]})
    assert outcomes(done) == list(rows.values())
    cells: list[dict[str, Any]] = [
        {"firstName": "=HYPERLINK(1)"},
        {"lastName": "+49"},
        {"firstName": "A\tB"},
        {"firstName": "x" * 61},
        {"password": "short"},
        {"password": "@SecurePass123"},
        {"quotaMb": 0},
        {"quotaMb": 2**53},
    ]
    rows_ = [{"email": f"n{number}@acme.test", **cell} for number, cell in enumerate(cells)]
    done = Api(ada.token).post(f"{HERE}/import", {"rows": rows_})
    assert set(outcomes(done)) == {"VALIDATION_ERROR"}
    named = [next(iter(found["error"]["details"])) for found in done.body["results"]]
    assert named == [next(iter(cell)) for cell in cells]
    assert Mailbox.objects.count() == 3


@pytest.mark.parametrize(
    "raw",
    [
        "email,first_name,last_name\nanna@acme.test,Zoë,Müller\n".encode(),
        "\ufeffemail,first_name,last_name\r\nanna@acme.test,Zoë,Müller\r\n".encode(),
        "\r\n\nE-Mail;First Name;Surname;Ignored\n\nanna@acme.test;Zoë;Müller;=1\n;;;\n".encode(),
        "email\tfirstName\tlastName\nanna@acme.test\tZoë\tMüller".encode("cp1252"),
        'email,first_name,last_name\n"anna@acme.test","Zoë","Müller"'.encode("utf-16"),
    ],
    ids=["utf-8", "mark", "semicolons", "tabs in latin-1", "utf-16"],
)
def test_files_of_every_spreadsheet_are_read(ada: Person, raw: bytes) -> None:
    ready(ada)
    assert outcomes(sent(ada, raw)) == ["anna@acme.test"]
    row = Mailbox.objects.get()
    assert (row.first_name, row.last_name) == ("Zoë", "Müller")


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"", 400),
        (b"\n\n", 400),
        (b"email\n", 400),
        (b"name,password\nx,y\n", 400),
        (b"email,email\na@acme.test,b@acme.test\n", 400),
        (b'email\n"anna@acme.test\n', 400),
        (b"email\nanna\0@acme.test\n", 400),
        (b"\xff\xfe\x00", 400),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), 400),
        (b"email\n" + b"x" * 200_000 + b"\n", 400),
        (b"email\n" + b"x@acme.test\n" * 1_001, 400),
        (b"email\n" + b"x" * 1_500_000, 400),
        (b"email\n" + b"x@acme.test\n" * 420_000, 413),
    ],
    ids=["nothing", "blank", "header", "no email", "twice", "quote", "NUL", "UTF-16", "picture",
         "long cell", "1,001 rows", "1.5 MB", "5 MB"],
)  # fmt: skip
def test_files_that_are_no_list(ada: Person, raw: bytes, status: int) -> None:
    ready(ada)
    answer = sent(ada, raw)
    assert answer.status == status, answer.body
    assert answer.error in {"VALIDATION_ERROR", "TOO_LARGE"}
    assert not Mailbox.objects.exists()


def test_a_list_fills_the_plan_and_says_where_it_ended(ada: Person) -> None:
    ready(ada)
    rows = [{"email": f"n{number}@acme.test"} for number in range(52)]
    rows.insert(3, {"email": "bad"})
    done = Api(ada.token).post(f"{HERE}/import", {"rows": rows})
    assert done.body["summary"] == {"total": 53, "successful": 50, "failed": 3}
    assert outcomes(done)[51:] == ["PLAN_LIMIT_EXCEEDED"] * 2
    details = done.body["results"][-1]["error"]["details"]
    assert details == {"limit": 50, "used": 50, "requested": 1}
    assert Mailbox.objects.count() == 50
    assert Job.objects.filter(workflow="mailboxes.provision").count() == 2  # the estate's is one
    Account.objects.update(trial_ends_at="2000-01-01T00:00Z")
    assert Api(ada.token).post(f"{HERE}/import", {"rows": rows}).error == "TRIAL_EXPIRED"


def test_a_list_is_rows_or_text_and_well_formed(ada: Person, bo: Person) -> None:
    ready(ada)
    api = Api(ada.token)
    wrong: dict[str, Any]
    for wrong in (
        {},
        {"rows": []},
        {"rows": [{"email": "a@acme.test"}] * 1_001},
        {"rows": [{"email": 5}]},
        {"rows": [{"email": "a@acme.test", "x": 1}]},
        {"rows": [{"email": "a@acme.test"}], "csv": "email\na@acme.test"},
        {"csv": ""},
    ):
        assert api.post(f"{HERE}/import", wrong).error == "VALIDATION_ERROR"
    assert Api(bo.token).post(f"{HERE}/import", {"csv": "email\nx@acme.test"}).status == 403
    once = [api.post(f"{HERE}/import", {"csv": "email\nx@acme.test"}, key="k") for _ in range(2)]
    assert once[0].body == once[1].body
    assert Mailbox.objects.count() == 1


def test_our_own_list_comes_back_without_its_stars(ada: Person, cy: Person) -> None:
    estate(ada, "acme.test", inboxes=1)
    text = ada.client.get("/mailboxes/csv/").content
    assert b"***HIDDEN***" in text
    assert outcomes(sent(ada, text)) == ["USER_ALREADY_EXISTS"]
    ready(ada, "other.test")
    (made,) = sent(ada, text.replace(b"acme.test", b"other.test")).body["results"]
    assert len(made["generatedPassword"]) == 24
