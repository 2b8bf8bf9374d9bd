import asyncio
import json
import re
from dataclasses import replace

import pytest

from dnszones import spf
from dnszones.dkim import records as dkim
from dnszones.mail_records import MailSetup, desired_records, settled_spf, setup_warnings
from dnszones.records import value_of
from mpanel.core.errors import Invalid
from tests.dnszones.fakedns import World

KEY = dkim.make_key().value
OURS = MailSetup(
    domain="ada.test",
    platform="mailserver",
    dkim_value=KEY,
    mailserver_mx="mx.mail.test",
    mailserver_spf="_spf.mail.test",
)
GOOGLE = MailSetup(domain="ada.test", platform="google-workspace")
MICROSOFT = MailSetup(
    domain="mail.ada-co.test",
    platform="microsoft-365",
    microsoft_mx="adaco0i.k-v1.mx.microsoft",
)
CUSTOM = MailSetup(
    domain="ada.test", platform="custom", custom_mx=((10, "mx1.bo.test"),), dkim_value=KEY
)


def lines(setup):
    return {
        (record.purpose, record.data.name, record.data.type, value_of(record.data))
        for record in desired_records(setup)
    }


def test_our_mail_server():
    assert lines(OURS) == {
        ("mx", "ada.test", "MX", "10 mx.mail.test"),
        ("spf", "ada.test", "TXT", "v=spf1 include:_spf.mail.test ~all"),
        ("dkim", "mpanel._domainkey.ada.test", "TXT", KEY),
        ("dmarc", "_dmarc.ada.test", "TXT", "v=DMARC1; p=none; rua=mailto:dmarc@ada.test"),
    }
    assert setup_warnings(OURS) == []


def test_google_workspace_with_its_key_and_tracking():
    setup = replace(
        GOOGLE,
        dkim_value=KEY,
        dmarc_policy="quarantine",
        tracking_subdomain="emailtracking",
        tracking_provider="smartlead",
    )
    assert lines(setup) == {
        ("mx", "ada.test", "MX", "1 smtp.google.com"),
        ("spf", "ada.test", "TXT", "v=spf1 include:_spf.google.com ~all"),
        ("dkim", "google._domainkey.ada.test", "TXT", KEY),
        ("dmarc", "_dmarc.ada.test", "TXT", "v=DMARC1; p=quarantine; rua=mailto:dmarc@ada.test"),
        ("tracking", "emailtracking.ada.test", "CNAME", "open.sleadtrack.com"),
    }


def test_without_the_vendors_key_its_record_is_left_out_with_a_warning():
    assert not [line for line in lines(GOOGLE) if line[0] == "dkim"]
    assert "admin console" in setup_warnings(GOOGLE)[0]
    assert "ada.test" in setup_warnings(GOOGLE)[0]


def test_microsoft_365():
    assert ("mx", "mail.ada-co.test", "MX", "0 adaco0i.k-v1.mx.microsoft") in (lines(MICROSOFT))
    assert "Defender" in setup_warnings(MICROSOFT)[0]
    with_keys = replace(MICROSOFT, dkim_targets=("S1.ms.test", "s2.ms.test"))
    (told,) = setup_warnings(with_keys)
    assert told.startswith("Make dmarc@mail.ada-co.test, ")
    assert {line[1:] for line in lines(with_keys) if line[0] == "dkim"} == {
        ("selector1._domainkey.mail.ada-co.test", "CNAME", "s1.ms.test"),
        ("selector2._domainkey.mail.ada-co.test", "CNAME", "s2.ms.test"),
    }


def test_a_custom_platform_sends_from_its_mail_hosts_unless_told_otherwise():
    assert ("spf", "ada.test", "TXT", "v=spf1 mx ~all") in lines(CUSTOM)
    told = replace(CUSTOM, spf_includes=("_spf.Bo.test", "include:_spf.cy.test", "_spf.bo.test"))
    text = "v=spf1 include:_spf.bo.test include:_spf.cy.test ~all"
    assert ("spf", "ada.test", "TXT", text) in lines(told)


def test_every_record_says_why_and_how_much_it_matters():
    records = desired_records(replace(OURS, tracking_subdomain="t", tracking_provider="instantly"))
    assert {record.purpose: record.level for record in records} == {
        "mx": "required",
        "spf": "required",
        "dkim": "required",
        "dmarc": "recommended",
        "tracking": "optional",
    }
    assert all(record.reason.endswith(".") for record in records)


@pytest.mark.parametrize(
    ("setup", "field"),
    [
        (replace(OURS, domain="not a domain"), "domain"),
        (replace(OURS, domain="test"), "domain"),
        (replace(OURS, platform="carrier-pigeon"), "platform"),
        (replace(OURS, dkim_value=""), "dkim_value"),
        (replace(OURS, dkim_value="junk"), "dkim_value"),
        (replace(OURS, dkim_selector="no/good"), "dkim_selector"),
        (replace(OURS, dkim_targets=("a.test", "b.test")), "dkim_targets"),
        (replace(MICROSOFT, dkim_targets=("a.test",)), "dkim_targets"),
        (replace(MICROSOFT, microsoft_mx=""), "microsoft_mx"),
        (replace(MICROSOFT, microsoft_mx="mx.ada.test"), "microsoft_mx"),
        (replace(MICROSOFT, microsoft_mx="mail.protection.outlook.com"), "microsoft_mx"),
        (replace(MICROSOFT, microsoft_mx="a.b.mail.protection.outlook.com"), "microsoft_mx"),
        (replace(MICROSOFT, microsoft_mx="a.mx.microsoft"), "microsoft_mx"),
        (replace(MICROSOFT, microsoft_mx="a.b.mx.microsoft.evil.test"), "microsoft_mx"),
        (replace(OURS, dmarc_policy="p"), "dmarc_policy"),
        (replace(OURS, dmarc_rua="nobody"), "dmarc_rua"),
        (replace(OURS, dmarc_ruf="a@b.test,c@d.test"), "dmarc_ruf"),
        (replace(OURS, spf_includes=("no include",)), "spf_includes"),
        (replace(OURS, spf_includes=("nodots",)), "spf_includes"),
        (replace(OURS, mailserver_mx=""), "mailserver_mx"),
        (replace(OURS, mailserver_spf=""), "mailserver_spf"),
        (replace(OURS, tracking_provider="smartlead"), "tracking_subdomain"),
        (replace(OURS, tracking_provider="x", tracking_subdomain="t"), "tracking_provider"),
        (
            replace(OURS, tracking_provider="smartlead", tracking_subdomain="a b"),
            "tracking_subdomain",
        ),
        (replace(CUSTOM, custom_mx=()), "custom_mx"),
        (replace(CUSTOM, custom_mx=((10, "192.0.2.1 x"),)), "custom_mx"),
        (replace(CUSTOM, custom_mx=((10, "mail"),)), "custom_mx"),
        (replace(CUSTOM, spf_existing="v=spf1 include=x.test -all"), "spf_existing"),
        (replace(CUSTOM, spf_existing="v=spf1 –all"), "spf_existing"),
        (replace(CUSTOM, custom_mx=((70_000, "mx.bo.test"),)), "custom_mx"),
        (replace(CUSTOM, custom_mx=((1, "mx.bo.test"), (1, "MX.bo.test"))), "custom_mx"),
    ],
)
def test_bad_input_names_its_field(setup, field):
    with pytest.raises(Invalid) as raised:
        desired_records(setup)
    assert list(raised.value.details) == [field]


def test_a_setup_survives_a_json_column():
    setup = replace(CUSTOM, spf_includes=("a.test",), dmarc_rua="a@ada.test")
    assert MailSetup.from_json(json.loads(json.dumps(setup.to_json()))) == setup


# --- SPF together with what is there ------------------------------------------------------------


def settle(setup, existing, world):
    return asyncio.run(settled_spf(setup, existing=existing, resolver=world))


def test_spf_is_merged_with_the_owners_record():
    world = World({("_spf.mail.test", "TXT"): ["v=spf1 -all"]})
    result = settle(OURS, "v=spf1 ip4:192.0.2.1 -all", world)
    assert result.flattened == "v=spf1 include:_spf.mail.test ip4:192.0.2.1 -all"


def test_spf_is_flattened_only_where_the_merged_record_is_over_ten_lookups():
    records = {(f"s{n}.test", "TXT"): [f"v=spf1 ip4:192.0.2.{n} -all"] for n in range(10)}
    world = World({**records, ("_spf.mail.test", "TXT"): ["v=spf1 ip4:198.51.100.1 -all"]})
    existing = "v=spf1 " + " ".join(f"include:s{n}.test" for n in range(10)) + " -all"
    result = settle(OURS, existing, world)
    assert (result.lookups_before, result.lookups_after) == (11, 0)
    assert "ip4:198.51.100.1" in result.flattened
    assert result.original.startswith("v=spf1 include:_spf.mail.test ")
    assert settle(OURS, result.original, world) == result


def test_a_setup_can_ask_for_flattening():
    world = World({("_spf.mail.test", "TXT"): ["v=spf1 ip4:198.51.100.1 ip6:2001:db8::1 -all"]})
    asked = replace(OURS, flatten=True, flatten_ipv6=False)
    assert settle(asked, None, world).flattened == "v=spf1 ip4:198.51.100.1 ~all"
    assert settle(OURS, None, world).flattened == "v=spf1 include:_spf.mail.test ~all"


def test_an_existing_record_that_is_not_valid_is_not_touched():
    with pytest.raises(spf.SPFSyntaxError):
        settle(OURS, "v=spf1 nonsense", World())


REACHED = replace(OURS, mail_host="mail.host.test", panel_host="panel.host.test")


def extras(setup):
    known = {record.data for record in desired_records(OURS)}
    return {
        (record.purpose, record.level, record.data.name, record.data.type, value_of(record.data))
        for record in desired_records(setup)
        if record.data not in known
    }


def test_mail_programs_find_the_server():
    found = extras(replace(REACHED, autoconfig=True))
    assert {line[:2] for line in found} == {("autoconfig", "optional")}
    assert {line[2:] for line in found} == {
        ("_imaps._tcp.ada.test", "SRV", "0 1 993 mail.host.test"),
        ("_submission._tcp.ada.test", "SRV", "0 1 587 mail.host.test"),
        ("_submissions._tcp.ada.test", "SRV", "0 1 465 mail.host.test"),
        ("_autodiscover._tcp.ada.test", "SRV", "0 1 443 panel.host.test"),
        ("autodiscover.ada.test", "CNAME", "panel.host.test"),
        ("autoconfig.ada.test", "CNAME", "panel.host.test"),
    }
    # At other ports there is none with TLS from the first byte; a panel without a name has none.
    bare = replace(REACHED, autoconfig=True, submission_port=8003, panel_host="")
    assert {line[2:] for line in extras(bare)} == {
        ("_imaps._tcp.ada.test", "SRV", "0 1 993 mail.host.test"),
        ("_submission._tcp.ada.test", "SRV", "0 1 8003 mail.host.test"),
    }
    # RFC 5804 §1.8, where the server runs filters.
    filtering = extras(replace(REACHED, autoconfig=True, sieve_port=4190))
    assert filtering - found == {
        ("autoconfig", "optional", "_sieve._tcp.ada.test", "SRV", "0 1 4190 mail.host.test")
    }


def test_tls_for_incoming_mail():
    testing = replace(REACHED, mta_sts="testing", tls_rpt="tls@ada.test")
    (sts,) = [line for line in extras(testing) if line[2] == "_mta-sts.ada.test"]
    assert re.fullmatch(r"v=STSv1; id=[0-9a-f]{20};", sts[4])
    assert extras(testing) - {sts} == {
        ("mta-sts", "recommended", "mta-sts.ada.test", "CNAME", "panel.host.test"),
        (
            "tls-rpt",
            "optional",
            "_smtp._tls.ada.test",
            "TXT",
            "v=TLSRPTv1; rua=mailto:tls@ada.test",
        ),
    }
    assert "certificate" in setup_warnings(testing)[0]
    others = [replace(testing, mta_sts="enforce"), replace(testing, mailserver_mx="mx2.mail.test")]
    ids = {line[4] for setup in others for line in extras(setup) if line[2] == sts[2]}
    assert len(ids - {sts[4]}) == 2, "the id changes with the policy"


@pytest.mark.parametrize(
    ("setup", "field"),
    [
        (replace(OURS, mta_sts="testing"), "mta_sts"),  # a panel without a name
        (replace(REACHED, mta_sts="always"), "mta_sts"),
        (replace(REACHED, tls_rpt="a@b.test,c"), "tls_rpt"),
        (replace(REACHED, tls_rpt="a;b@b.test"), "tls_rpt"),
        (replace(CUSTOM, autoconfig=True, mail_host="mail.host.test"), "autoconfig"),
        (replace(CUSTOM, tls_rpt="a@b.test"), "tls_rpt"),
        (replace(CUSTOM, mta_sts="testing", panel_host="panel.host.test"), "mta_sts"),
    ],
)
def test_what_our_server_alone_can_do(setup, field):
    with pytest.raises(Invalid) as caught:
        desired_records(setup)
    assert set(caught.value.details) == {field}


def test_a_setup_that_was_stored_before_there_was_more_to_choose_is_read():
    stored = OURS.to_json()
    new = ("mail_host", "submission_port", "imaps_port", "panel_host")
    for name in (*new, "mta_sts", "tls_rpt", "autoconfig"):
        del stored[name]
    assert MailSetup.from_json(json.loads(json.dumps(stored))) == OURS
