"""An answer is read as the struct that the service declares it to be."""

import pytest

from fleetpulse.cli.client import Answer, Client, segment
from fleetpulse.errors import NotAnswered, SettingsError
from fleetpulse.query.declaration_answers import Message, Relabelled


def test_an_answer_with_fields_of_a_later_version_is_read() -> None:
    answer = Answer(b'{"matched": 2, "changed": 1, "dry_run": true, "later": {"deeper": []}}', server_s=0)
    assert answer.into(Relabelled) == Relabelled(matched=2, changed=1, dry_run=True)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"message": "hello"}', b""])
def test_an_answer_of_something_else_says_so(body: bytes) -> None:
    with pytest.raises(NotAnswered, match="is --url that of a fleetpulse service"):
        Answer(body, server_s=0).into(Message)


@pytest.mark.parametrize("url", ["here", "ftp://host", "http://", "http://host:port", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"is no address of a server"):
        Client(url)


def test_notes_of_answers_are_printed_once_each_to_standard_error_when_the_client_is_closed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Client("http://127.0.0.1:1") as client:
        for raw in (b'{"notes": ["a\\u001b[1m", "b"]}', b'["b", "c"]', b"[]", b"id,site", b'{"notes": 1}', b"7"):
            client.take_notes(raw)
    assert capsys.readouterr().err == "note: a\u00b7[1m\nnote: b\nnote: c\n"


def test_a_device_id_is_one_segment_of_a_path() -> None:
    assert segment("oven:1/../%") == "oven%3A1%2F..%2F%25"
