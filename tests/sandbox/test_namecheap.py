"""Namecheap's API on the wire: forms in, XML out, errors with HTTP 200."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from tests.sandboxes import REGISTRY, RunningSandbox, wait_until

ACCESS = {
    "ApiUser": "ada",
    "ApiKey": "sandbox-ada",
    "UserName": "ada",
    "ClientIp": "127.0.0.1",
}
PERSON = {
    "FirstName": "Ada",
    "LastName": "Byron",
    "Address1": "12 St James's Square",
    "City": "London",
    "StateProvince": "London",
    "PostalCode": "SW1Y 4JH",
    "Country": "GB",
    "Phone": "+44.2079460000",
    "EmailAddress": "ada@people.test",
}
CONTACTS = {
    f"{role}{name}": value
    for role in ("Registrant", "Tech", "Admin", "AuxBilling")
    for name, value in PERSON.items()
}
NAMESERVERS = ["ns1.elsewhere.test", "ns2.elsewhere.test"]
HTTP = httpx.Client(timeout=60, trust_env=False)
NS = {"n": "http://api.namecheap.com/xml.response"}


def post(sandbox: RunningSandbox, command: str, **fields: Any) -> httpx.Response:
    form = {**ACCESS, "Command": f"namecheap.{command}", **fields}
    return HTTP.post(sandbox.namecheap_url, data=form)


def call(sandbox: RunningSandbox, command: str, **fields: Any) -> ElementTree.Element:
    answer = post(sandbox, command, **fields)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/xml")
    return parsed(answer)


def parsed(answer: httpx.Response) -> ElementTree.Element:
    return ElementTree.fromstring(answer.content)  # noqa: S314 - our own sandbox's


def row(root: ElementTree.Element, name: str) -> dict[str, str]:
    assert root.get("Status") == "OK", error_of(root)
    found = root.find(f".//n:{name}", NS)
    assert found is not None
    return dict(found.attrib)


def error_of(root: ElementTree.Element) -> int:
    assert root.get("Status") == "ERROR"
    found = root.find("n:Errors/n:Error", NS)
    assert found is not None
    return int(found.get("Number", ""))


def create(sandbox: RunningSandbox, name: str = "example.test", **fields: Any) -> Any:
    form = {"DomainName": name, "Years": 1, **CONTACTS, **fields}
    return call(sandbox, "domains.create", **form)


def test_the_envelope(sandbox: RunningSandbox) -> None:
    root = call(sandbox, "domains.check", DomainList="example.test")
    assert root.tag == "{http://api.namecheap.com/xml.response}ApiResponse"
    assert root.findtext("n:RequestedCommand", "", NS) == "namecheap.domains.check"
    assert root.find("n:Errors", NS) is not None


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"ApiKey": "sandbox-cy"}, 1011102),
        ({"UserName": "cy"}, 1011102),
        ({"ClientIp": "here"}, 1011105),
        ({"ClientIp": "192.0.2.1"}, 1011150),
        ({"Command": "namecheap.domains.steal"}, 1010104),
    ],
)
def test_who_may_not_in(sandbox: RunningSandbox, fields: dict[str, str], number: int) -> None:
    form = {**ACCESS, "Command": "namecheap.users.getBalances", **fields}
    answer = HTTP.post(sandbox.namecheap_url, data=form)
    assert answer.status_code == 200
    assert error_of(parsed(answer)) == number


def test_a_query_works_like_a_form(sandbox: RunningSandbox) -> None:
    fields = {**ACCESS, "Command": "namecheap.users.getBalances"}
    answer = HTTP.get(sandbox.namecheap_url, params=fields)
    assert row(parsed(answer), "UserGetBalancesResult") == {
        "Currency": "USD",
        "AvailableBalance": "1000.00",
        "AccountBalance": "1000.00",
        "EarnedAmount": "0.00",
        "WithdrawableAmount": "0.00",
        "FundsRequiredForAutoRenew": "0.00",
    }


def test_availability_and_premium_prices(sandbox: RunningSandbox) -> None:
    sandbox.set_nameservers("known.test", NAMESERVERS)
    names = "free.test,known.test,takenlongago.test,premium.test,nonsense"
    root = call(sandbox, "domains.check", DomainList=names)
    found = {row.get("Domain"): row for row in root.iterfind(".//n:DomainCheckResult", NS)}
    assert {name: row.get("Available") for name, row in found.items()} == {
        "free.test": "true",
        "known.test": "false",
        "takenlongago.test": "false",
        "premium.test": "true",
        "nonsense": "false",
    }
    assert found["premium.test"].get("PremiumRegistrationPrice") == "499.00"
    assert found["nonsense"].get("ErrorNo") == "2030280"
    many = ",".join(f"d{number}.test" for number in range(51))
    assert error_of(call(sandbox, "domains.check", DomainList=many)) == 2011169


def test_a_domain_is_bought_charged_and_delegated(sandbox: RunningSandbox) -> None:
    bought = row(
        create(sandbox, "example.com", Nameservers=",".join(NAMESERVERS)), "DomainCreateResult"
    )
    assert (bought["Registered"], bought["ChargedAmount"]) == ("true", "10.46")
    assert bought["NonRealTimeDomain"] == "false"
    balances = call(sandbox, "users.getBalances")
    assert row(balances, "UserGetBalancesResult")["AvailableBalance"] == "989.54"
    referral = sandbox.ask(REGISTRY, "example.com", "NS").authority
    assert sorted(rdata.to_text() for rdata in referral[0]) == [f"{ns}." for ns in NAMESERVERS]
    info = call(sandbox, "domains.getInfo", DomainName="example.com")
    assert row(info, "DomainGetInfoResult")["IsOwner"] == "true"
    assert [server.text for server in info.iterfind(".//n:Nameserver", NS)] == NAMESERVERS
    listed = call(sandbox, "domains.getList", SearchTerm="example", PageSize=10)
    assert row(listed, "Domain")["Name"] == "example.com"
    # And nobody buys it again.
    assert error_of(create(sandbox, "example.com")) == 3019166


def test_the_delegation_changes_with_set_custom(sandbox: RunningSandbox) -> None:
    create(sandbox, "example.co.nz")
    assert sandbox.delegations()["example.co.nz"] == [
        "ns1.parking-sandbox.test",
        "ns2.parking-sandbox.test",
    ]
    changed = call(
        sandbox,
        "domains.dns.setCustom",
        SLD="example",
        TLD="co.nz",
        Nameservers=",".join(NAMESERVERS),
    )
    assert row(changed, "DomainDNSSetCustomResult")["Updated"] == "true"
    assert sandbox.delegations()["example.co.nz"] == NAMESERVERS
    stranger = {"ApiUser": "cy", "UserName": "cy", "ApiKey": "sandbox-cy"}
    refused = call(sandbox, "domains.getInfo", DomainName="example.co.nz", **stranger)
    assert error_of(refused) == 2016166
    refused = call(sandbox, "domains.dns.setCustom", SLD="no", TLD="test", Nameservers="a.b,c.d")
    assert error_of(refused) == 2019166


@pytest.mark.parametrize(
    ("name", "fields", "number"),
    [
        ("example.test", {"TechCity": ""}, 2010325),
        ("example.test", {"AdminPhone": "12345"}, 2015182),
        ("example.test", {"RegistrantCountry": "England"}, 2005),
        ("example.test", {"Years": 11}, 2015167),
        ("example.test", {"Nameservers": "one.test"}, 2011168),
        ("taken.test", {}, 3019166),
        ("example.us", {}, 2011322),
        ("xn--bcher-kva.test", {}, 2030166),
        ("premium.test", {}, 2515610),
        ("premium.test", {"IsPremiumDomain": "true", "PremiumPrice": "9.00"}, 2515610),
    ],
)
def test_what_is_not_sold(
    sandbox: RunningSandbox, name: str, fields: dict[str, str], number: int
) -> None:
    assert error_of(create(sandbox, name, **fields)) == number
    shown = sandbox.namecheap(account="ada", balance=100_000)
    assert shown["domains"] == []


def test_without_funds_nothing_is_registered(sandbox: RunningSandbox) -> None:
    sandbox.namecheap(account="ada", balance=500)
    assert error_of(create(sandbox)) == 2528166
    assert "example.test" not in sandbox.delegations()
    sandbox.namecheap(ending="test", price=400)
    assert row(create(sandbox), "DomainCreateResult")["ChargedAmount"] == "4.18"


def test_a_slow_registry(sandbox: RunningSandbox) -> None:
    bought = row(create(sandbox, "slow.test"), "DomainCreateResult")
    assert bought["NonRealTimeDomain"] == "true"
    assert error_of(call(sandbox, "domains.getInfo", DomainName="slow.test")) == 2019166

    def is_there() -> bool:
        return call(sandbox, "domains.getInfo", DomainName="slow.test").get("Status") == "OK"

    wait_until(is_there)


def test_failures_on_purpose_are_told_apart_by_command(sandbox: RunningSandbox) -> None:
    sandbox.fault("namecheap", "rate_limit", path="/namecheap.domains.create")
    assert post(sandbox, "users.getBalances").status_code == 200
    assert post(sandbox, "domains.create", DomainName="example.test").status_code == 405
    sandbox.fault("namecheap", "status", status=502)
    assert post(sandbox, "users.getBalances").status_code == 502
    sandbox.fault("namecheap", "drop_after_commit", path="/namecheap.domains.create")
    with pytest.raises(httpx.RemoteProtocolError):
        create(sandbox)
    assert [one["domain"] for one in sandbox.namecheap()["domains"]] == ["example.test"]
    assert sandbox.request_count("namecheap", "POST", "/namecheap.domains.create") == 2
    shown = str(sandbox.control("GET", "requests"))
    assert "sandbox-ada" not in shown


def test_too_many_calls_and_a_restart(tmp_path: Path) -> None:
    sandbox = RunningSandbox(tmp_path, rate_limit=1200)
    with sandbox:
        create(sandbox)
        statuses = [post(sandbox, "users.getBalances").status_code for _ in range(50)]
        assert statuses == [200] * 49 + [405]
        sandbox.kill()
        sandbox.start()
        info = call(sandbox, "domains.getInfo", DomainName="example.test")
        assert row(info, "DomainGetInfoResult")["OwnerName"] == "ada"
        balance = row(call(sandbox, "users.getBalances"), "UserGetBalancesResult")
        assert balance["AvailableBalance"] == "990.02"
