"""Flattened records that are too long for one TXT record."""

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnszones import spf
from tests.dnszones.fakedns import World
from tests.dnszones.spf_oracle import check_host

DOMAIN = "ada.test"


def lay_out(text, *, lookups=0, known=None, taken=()):
    record = spf.parse(text)
    return spf.lay_out(record, domain=DOMAIN, lookups=lookups, known=known or {}, taken=taken)


def networks(*numbers):
    return " ".join(f"ip4:198.51.{n}.1" for n in numbers)


def test_what_fits_stays_in_one_record():
    text = f"v=spf1 {networks(*range(20))} -all"
    assert lay_out(text) == spf.Layout(text, {})


def test_a_longer_run_moves_into_records_that_are_included_in_its_place():
    text = f"v=spf1 -ip4:198.51.7.7 {networks(*range(100, 150))} exists:%{{i}}.list.test ~all"
    laid = lay_out(text, lookups=1)
    names = list(laid.parts)
    assert names == [f"_spf{number}.ada.test" for number in range(1, len(names) + 1)]
    includes = " ".join(f"include:{name}" for name in names)
    assert laid.text == f"v=spf1 -ip4:198.51.7.7 {includes} exists:%{{i}}.list.test ~all"
    assert all(len(part) <= spf.COMFORTABLE_BYTES for part in laid.parts.values())
    words = [word for part in laid.parts.values() for word in part.split()[1:-1]]
    assert " ".join(words) == networks(*range(100, 150))


def test_a_part_keeps_its_name_and_no_other_text_gets_a_name_in_use():
    first = lay_out(f"v=spf1 {networks(*range(100, 148))} -all")
    again = lay_out(f"v=spf1 {networks(*range(100, 149))} -all", known=first.parts)
    kept = set(first.parts.items()) & set(again.parts.items())
    assert len(kept) == len(first.parts) - 1
    assert set(again.parts) - set(first.parts) == {f"_spf{len(first.parts) + 1}.ada.test"}
    taken = lay_out(f"v=spf1 {networks(*range(100, 150))} -all", taken={"_spf1.ada.test"})
    assert "_spf1.ada.test" not in taken.parts


def test_ten_lookups_are_all_there_are():
    text = f"v=spf1 {networks(*range(100, 150))} -all"
    parts = len(lay_out(text).parts)
    assert lay_out(text, lookups=10 - parts).parts
    with pytest.raises(spf.TooComplex, match="11 lookups"):
        lay_out(text, lookups=11 - parts)


def test_what_cannot_be_moved_does_not_fit():
    text = "v=spf1 " + " ".join(f"-ip4:198.51.100.{n}" for n in range(60)) + " +all"
    with pytest.raises(spf.TooComplex, match="450 bytes"):
        lay_out(text)


hosts = st.integers(0, 120).map(lambda n: ipaddress.ip_address("10.0.0.0") + n)
terms = st.one_of(
    hosts.map(lambda host: f"ip4:{host}"),
    hosts.map(lambda host: f"ip4:{host}"),
    hosts.map(lambda host: f"-ip4:{host}"),
    st.sampled_from(["exists:%{i}.list.test", "?exists:%{i}.list.test"]),
)


@settings(max_examples=60, deadline=None)
@given(words=st.lists(terms, min_size=20, max_size=120), end=st.sampled_from(["-all", "~all"]))
def test_a_chain_says_the_same_as_the_record(words, end):
    text = " ".join(["v=spf1", *words, end])
    try:
        laid = lay_out(text)
    except spf.TooComplex:
        return
    parts = {(name, "TXT"): [part] for name, part in laid.parts.items()}
    world = World({("10.0.0.3.list.test", "A"): ["127.0.0.2"], **parts})
    assert len(laid.text) <= spf.COMFORTABLE_BYTES
    for number in range(0, 121, 3):
        ip = f"10.0.0.{number}"
        assert check_host(world, laid.text, ip, DOMAIN) == check_host(world, text, ip, DOMAIN)
