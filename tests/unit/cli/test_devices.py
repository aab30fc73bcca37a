"""Lists of devices: pages that become one, and tables."""

from collections.abc import Sequence

import msgspec

from cli_text import printed
from fleetpulse.cli.client import Answer, Client, Query
from fleetpulse.cli.device_changes import device_facts, imported_parts
from fleetpulse.cli.devices import list_pages, list_parts, transitions_parts
from fleetpulse.ingest.bodies import RefusedLine
from fleetpulse.query.answer_fields import DeclarationsUsed
from fleetpulse.query.answers import Transition, Transitions
from fleetpulse.query.declaration_answers import Change, Device, DeviceList, FieldChange, ForgottenBefore, Imported

START, END = "2026-01-01T00:00:00Z", "2026-01-01T04:00:00Z"
NOW_S = 1_767_225_600 + 4 * 3_600 + 10 * 60


def device(name: str, **fields: object) -> Device:
    values = {"status": "up", "since": START, "last_seen": END, "labels": {"site": "paris"}, "interval": "1m"}
    more = {"grace": "4m", "has_own_interval": False, "has_own_grace": False, "note": "", "created_at": None}
    return Device(id=name, **{**values, **more, **fields})  # type: ignore[arg-type]  # fields of one struct


class Pages(Client):
    """A service with so many devices, whose answers have a field that this version does not know."""

    def __init__(self, count: int) -> None:
        super().__init__("http://127.0.0.1:1")
        self.count = count
        self.limits: list[int] = []

    def get(self, path: str, query: Query = ()) -> Answer:
        given = dict(query)
        first, limit = int(str(given.get("cursor", 0))), int(str(given["limit"]))
        self.limits.append(limit)
        end = min(self.count, first + limit)
        devices: Sequence[object] = [
            {**msgspec.to_builtins(device(f"d{number}")), "later": number} for number in range(first, end)
        ]
        following = str(end) if end < self.count else None
        fields = {
            "devices": devices,
            "total": self.count,
            "next": following,
            "next_cursor": following,
            "missing": [],
            "later": True,
        }
        return Answer.of(fields, server_s=7)


def test_one_page_is_passed_on_as_it_is() -> None:
    service = Pages(5)
    answer = list_pages(service, [], limit=2)
    assert answer.raw == service.get("", [("limit", 2)]).raw


def test_pages_become_one_answer_that_keeps_what_this_version_does_not_know() -> None:
    service = Pages(2_500)
    fields = msgspec.json.decode(list_pages(service, [("sort", "id")], limit=None).raw)
    assert service.limits == [1_000, 1_000, 1_000]
    assert [one["later"] for one in fields["devices"]] == list(range(2_500))
    assert (fields["total"], fields["next"], fields["later"]) == (2_500, None, True)


def test_no_more_devices_are_asked_for_than_are_shown() -> None:
    service = Pages(2_500)
    assert len(list_pages(service, [], limit=1_200).into(DeviceList).devices) == 1_200
    assert service.limits == [1_000, 200]


def test_a_list_tells_how_many_there_are_and_shows_uptime_where_it_was_asked_for() -> None:
    listed = DeviceList(devices=[device("a", uptime=99.5), device("b", uptime=None)], total=3, next="2", missing=[])
    lines = [" ".join(line.split()) for line in printed(*list_parts(listed, now_s=NOW_S)).splitlines()]
    assert "device status since last seen uptime % labels" in lines
    assert f"a up for 4 h 10 m {START} {END} 99.50000 site:paris" in lines
    assert f"b up for 4 h 10 m {START} {END} – site:paris" in lines
    assert lines[-1] == "2 of 3 shown; --limit N or --all shows more."
    assert (
        printed(*list_parts(DeviceList(devices=[], total=0, next=None, missing=[]), now_s=NOW_S)) == "0 of 0 shown.\n"
    )


def test_changes_of_status_tell_how_to_ask_for_the_rest() -> None:
    changes = [Transition(at=START, before="up", after="late")]
    answer = Transitions(
        device_id="a", start=START, end=END, status_before="up", transitions=changes, more_from=END, missing=[],
        declarations=DeclarationsUsed(version=1, changed_at=None, devices=1, changed_after_window=None),
    )  # fmt: skip
    assert f"There are more: ask again with --from {END}." in printed(*transitions_parts(answer))
    answer.more_from = None
    assert f"1 change of status from {START} to {END}; before them it was up." in printed(*transitions_parts(answer))


def test_an_import_lists_the_first_refused_lines() -> None:
    refused = [RefusedLine(line=line, msg="no device id") for line in range(2, 102)]
    imported = Imported(new=1, known=2, changed=1, refused=refused, refused_total=150, capped=True, dry_run=True)
    lines = printed(*imported_parts(imported)).splitlines()
    assert lines[0] == "would be new: 1, would be changed: 1, unchanged: 1, refused: 150."
    assert (lines[1], len(lines), lines[-1]) == ("line 2: no device id", 22, "… and 130 more")


def test_a_dry_run_shows_every_field_before_and_after() -> None:
    changes = [
        Change(id="a", new=False, fields=[FieldChange("interval", None, "5m"), FieldChange("site", "paris", "lyon")]),
        Change(id="b", new=True, fields=[]),
    ]
    imported = Imported(new=1, known=1, changed=1, changes=changes, refused=[], refused_total=0, dry_run=True)
    lines = [line.split() for line in printed(*imported_parts(imported)).splitlines()]
    assert ["a", "interval", "5m"] in lines
    assert ["a", "site", "paris", "lyon"] in lines
    assert ["b", "(new)"] in lines


def test_what_was_forgotten_is_counted_with_its_nouns() -> None:
    once, twice = (ForgottenBefore(before=START, at=END, minutes=count, samples=count) for count in (1, 2))
    assert "1 minute and 1 sample before" in printed(device_facts(device("a", forgotten=[once])))
    assert "2 minutes and 2 samples before" in printed(device_facts(device("a", forgotten=[twice])))
