"""`fleetpulse watch` on a service that gives three events, and is then ended by Ctrl-C."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.json import decode, encode

from fleetpulse.cli import watch as module
from fleetpulse.cli.client import Answer, Client
from fleetpulse.cli.event_source import EventSource, FeedEvent
from fleetpulse.cli.flags import Address
from fleetpulse.cli.watch import watch

AT = "2026-11-24T08:30:00Z"
ALERT = {"number": 17, "severity": "critical", "rule": "device-offline", "subject": "press-07", "since": AT}


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> None:
    class Source(EventSource):
        def events(self) -> Iterator[FeedEvent]:
            yield FeedEvent("counts", encode({"at": AT, "total": 1, "by_status": {"up": 1}}), "a-1")
            yield FeedEvent("lost", b"the service is away")
            yield FeedEvent("back", b"")
            yield FeedEvent("end", encode({"reason": "stopping"}))
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "EventSource", Source)


@pytest.mark.usefixtures("events")
def test_lines_go_to_output_and_words_about_the_connection_to_standard_error(capsys: Any) -> None:
    watch()
    output = capsys.readouterr()
    assert output.out == "2026-11-24T08:30:00Z 1 device: 1 up\nthe service ends the stream (stopping)\n"
    assert output.err.splitlines() == [
        "the connection has ended, trying again: the service is away",
        "the connection is there again",
    ]


@pytest.mark.usefixtures("events")
def test_json_is_a_line_for_each_event(capsys: Any) -> None:
    watch(json=True)
    lines = [decode(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["counts", "end"]
    assert (lines[0]["id"], lines[0]["data"]["total"]) == ("a-1", 1)
    assert "id" not in lines[1]


@pytest.mark.usefixtures("events")
def test_on_a_terminal_it_is_a_picture(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    answer = Answer.of({"alerts": [ALERT], "firing": 1, "next_cursor": None}, server_s=0)
    monkeypatch.setattr(Client, "get", lambda *_: answer)
    watch()
    output = capsys.readouterr().out
    assert "1 device   \x1b[32mup\x1b[0m 1" in output
    assert "device-offline" in output
    assert output.endswith("\x1b[?25h"), "the cursor is there again"


def test_a_picture_without_alerts_is_shown_where_they_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETPULSE_URL", "http://127.0.0.1:1")
    assert module._Alerts(Address()).read() is None
