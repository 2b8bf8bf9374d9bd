"""Which domain is meant by what people paste, and what is said when none is."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domains.names import DomainName, clean_domain
from mpanel.core.errors import Invalid


def complaint(text: str) -> str:
    with pytest.raises(Invalid) as refused:
        clean_domain(text, extra_suffixes=["test"])
    assert list(refused.value.details) == ["domain"]
    assert refused.value.details["domain"] == [refused.value.message]
    return refused.value.message


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        " Example.COM.\n",
        "https://example.com",
        "HTTPS://ada:pass@www.example.com:8443/path?query=a@b#part",
        "//example.com/x",
        "example.com:443",
        "example.com/path",
        "example.com?x",
        "example.com\\path",
        "www.example.com",
        "ada@example.com",
        "mailto:ada@example.com?subject=x",
        "ｅｘａｍｐｌｅ．ｃｏｍ",
        "example。com。",
        "exam\u00adple.com",
    ],
)
def test_what_is_pasted_around_a_domain_comes_off(text: str) -> None:
    assert clean_domain(text) == DomainName("example.com", "example.com", "com")


@pytest.mark.parametrize(
    ("text", "ascii_name", "unicode_name"),
    [
        ("MÜNCHEN.de", "xn--mnchen-3ya.de", "münchen.de"),
        ("XN--Mnchen-3ya.de", "xn--mnchen-3ya.de", "münchen.de"),
        ("mu\u0308nchen.de", "xn--mnchen-3ya.de", "münchen.de"),
        ("faß.de", "xn--fa-hia.de", "faß.de"),
        ("例子.中国", "xn--fsqu00a.xn--fiqs8s", "例子.中国"),
    ],
)
def test_international_names_in_either_writing(
    text: str, ascii_name: str, unicode_name: str
) -> None:
    found = clean_domain(text)
    assert (found.ascii, found.unicode) == (ascii_name, unicode_name)
    assert str(found) == ascii_name


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("example.co.uk", "co.uk"),
        ("www.co.uk", "co.uk"),
        ("www.com", "com"),
        ("www.ck", "ck"),
        ("ada.uk.com", "uk.com"),
        ("ada.github.io", "github.io"),
    ],
)
def test_a_name_right_below_a_public_suffix_can_be_connected(text: str, suffix: str) -> None:
    assert clean_domain(text) == DomainName(text, text, suffix)


@pytest.mark.parametrize("text", ["com", "co.uk", "uk.com", "github.io", "foo.ck", "test"])
def test_an_ending_is_nobodys_domain(text: str) -> None:
    assert f"such as example.{text}." in complaint(text)


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("shop.example.com", "example.com"),
        ("www.shop.example.co.uk", "example.co.uk"),
        ("https://www.www.example.com/", "example.com"),
        ("mail.ada.uk.com", "ada.uk.com"),
        ("a.b.example.test", "example.test"),
    ],
)
def test_a_subdomain_is_told_its_domain(text: str, instead: str) -> None:
    assert f"Connect {instead} instead." in complaint(text)


def test_endings_of_a_test_system_are_added_to_the_public_ones() -> None:
    assert clean_domain("www.example.test", extra_suffixes=["test"]).ascii == "example.test"
    assert clean_domain("a.corp.test", extra_suffixes=["test", "corp.test"]).suffix == "corp.test"
    assert clean_domain("example.co.uk", extra_suffixes=["uk"]).suffix == "co.uk"
    with pytest.raises(Invalid, match="Check the spelling"):
        clean_domain("example.test")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "Enter a domain name"),
        (" \u00a0\n", "Enter a domain name"),
        ("https://", "Enter a domain name"),
        ("localhost", "whole domain with its ending"),
        ("example.invalidending", "“.invalidending”. Check the spelling"),
        ("10.in-addr.arpa", "“.arpa”"),
        ("example.onion", "“.onion”"),
        ("192.0.2.1", "IP address"),
        ("http://192.0.2.1:80/", "IP address"),
        ("１９２.0.2.1。", "IP address"),
        ("[2001:db8::1]", "IP address"),
        ("2001:db8::1", "IP address"),
        ("http://[2001:db8::1]:443/", "IP address"),
        ("example..com", "single dots"),
        (".example.com", "single dots"),
        ("example.com..", "single dots"),
        ("exa mple.com", "without spaces"),
        ("example.com example.net", "without spaces"),
        ("exa_mple.com", "letters, digits and hyphens"),
        ("-example.com", "letters, digits and hyphens"),
        ("example-.com", "letters, digits and hyphens"),
        ("ex--ample.com", "letters, digits and hyphens"),
        ("xn--a.com", "letters, digits and hyphens"),
        ("i❤.ws", "letters, digits and hyphens"),
        ("*.example.com", "letters, digits and hyphens"),
        ("exam\x00ple.com", "letters, digits and hyphens"),
        ("\ud800.com", "letters, digits and hyphens"),
        ("a" * 64 + ".com", "at most 63"),
        (".".join(["a" * 50] * 6) + ".com", "at most 253"),
        ("a" * 3000, "too long"),
    ],
)
def test_what_is_said_when_it_is_no_domain(text: str, said: str) -> None:
    assert said in complaint(text)


def test_the_longest_label_is_fine() -> None:
    assert clean_domain("a" * 63 + ".com").suffix == "com"


labels = st.text(st.characters(codec="utf-8", categories=["L", "N"]), min_size=1, max_size=20)
pasted = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "https://", "www.", "me@", "HTTP://a:b@www."]),
    labels,
    st.sampled_from([".com", ".co.uk", "。de", ".test", ".中国", ".github.io", ".CK"]),
    st.sampled_from(["", ".", "/path", ":25", "?q", " "]),
)


@given(st.one_of(st.text(), pasted))
@example("a\u200d.com")
@example("\u0301a.com")
@example("a.com.")
def test_any_text_is_refused_or_gives_a_name_that_stays_as_it_is(text: str) -> None:
    try:
        found = clean_domain(text, extra_suffixes=["test"])
    except Invalid:
        return
    assert clean_domain(found.ascii, extra_suffixes=["test"]) == found
    assert clean_domain(found.unicode, extra_suffixes=["test"]) == found
    assert found.ascii.isascii()
    assert found.ascii == found.ascii.lower()
    assert found.ascii.endswith(f".{found.suffix}")
    assert len(found.ascii) <= 253


@pytest.mark.parametrize(
    "text",
    [
        *(mark * 2**20 for mark in ("a", "a.", "@", " ", "\u0301")),
        *(mark * 1000 for mark in ("é", "a.", "ᾳ.", "\u00ad", ":")),
    ],
    ids=lambda text: ascii(text[:2]) + f"x{len(text)}",
)
def test_long_text_costs_next_to_nothing(text: str) -> None:
    clean_domain("example.com")  # reads the public suffix list
    started = time.process_time()
    with pytest.raises(Invalid):
        clean_domain(text)
    assert time.process_time() - started < 0.2
