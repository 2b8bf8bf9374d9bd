"""The credentials file, as a script and as a spreadsheet read it."""

import csv
import io

import pytest

from mailboxes.csvfiles import COLUMNS, CredentialRow, credentials_csv
from mailboxes.passwords import make_password
from mailservers.providers.base import LoginSettings

SETTINGS = LoginSettings(
    smtp_host="mail.example.test", smtp_port=587, imap_host="mail.example.test", imap_port=993
)
ADA = CredentialRow("ada@example.test", SETTINGS, "Right3password")


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_the_file_to_the_byte() -> None:
    assert credentials_csv([ADA], hidden=False) == (
        "email,username,password,smtp_host,smtp_port,smtp_auth,smtp_tls,imap_host,imap_port\r\n"
        "ada@example.test,ada@example.test,Right3password,"
        "mail.example.test,587,true,true,mail.example.test,993\r\n"
    )


def test_hidden_passwords_are_not_in_the_file() -> None:
    text = credentials_csv([ADA, CredentialRow("bo@example.test", SETTINGS)], hidden=True)
    assert "Right3password" not in text
    assert [row["password"] for row in read(text)] == ["***HIDDEN***"] * 2


def test_no_rows_leave_the_header() -> None:
    assert credentials_csv([], hidden=False) == ",".join(COLUMNS) + "\r\n"


def test_a_provider_without_imap_leaves_its_cells_empty() -> None:
    settings = LoginSettings(smtp_host="mail.example.test", smtp_port=465, smtp_tls="ssl")
    [row] = read(credentials_csv([CredentialRow("ada@example.test", settings)], hidden=True))
    assert (row["smtp_port"], row["smtp_tls"]) == ("465", "true")
    assert (row["imap_host"], row["imap_port"]) == ("", "")


def test_our_own_passwords_are_in_the_file_exactly() -> None:
    passwords = [make_password() for _ in range(500)]
    rows = [CredentialRow("ada@example.test", SETTINGS, password) for password in passwords]
    assert [row["password"] for row in read(credentials_csv(rows, hidden=False))] == passwords


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_begins_a_formula(start: str) -> None:
    cell = f'{start}HYPERLINK("https://example.test","a,b")'
    [row] = read(credentials_csv([CredentialRow(cell, SETTINGS, cell)], hidden=False))
    assert row["email"] == row["username"] == row["password"] == f"'{cell}"


def test_quotes_and_commas_come_back_as_they_were() -> None:
    password = 'a"b,c\r\nd'
    [row] = read(
        credentials_csv([CredentialRow("a@example.test", SETTINGS, password)], hidden=False)
    )
    assert row["password"] == password


def test_a_row_does_not_show_its_password() -> None:
    assert "Right3password" not in repr(ADA)
