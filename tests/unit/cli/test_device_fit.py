"""Answers about intervals as tables, sentences and a CSV that sets them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli_text import printed
from fleetpulse.cli.client import Answer
from fleetpulse.cli.device_fit import (
    device_fit_parts,
    fit_text,
    fit_warnings,
    fleet_fit_parts,
    intervals_csv,
    length_text,
)
from fleetpulse.cli.main import main
from fleetpulse.errors import CommandRefused
from fleetpulse.query.fit_answers import DayFit, DeviceFit, DeviceFitByDay, FleetFit, GroupFit

START, END = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
TEN_MINUTES = {"distances": 143, "median_s": 600.2, "p90_s": 601.0, "p99_s": 1_200.0, "resolution": "exact"}
VERDICTS = {"fits": 1, "too_short": 1, "too_long": 0, "too_few": 0}


def device(device_id: str = "press-1", **fields: object) -> DeviceFit:
    values = {
        "device_id": device_id,
        "interval": "1m",
        "verdict": "too_short",
        "suggested": "10m",
        "uptime": 10.0,
        "uptime_suggested": 99.5,
        **TEN_MINUTES,
        **fields,
    }
    return DeviceFit(**values)  # type: ignore[arg-type]  # fields of one struct


def fleet(*devices: DeviceFit, **fields: object) -> FleetFit:
    values = {"start": START, "end": END, "total": 9, "verdicts": VERDICTS, "next_cursor": "c", "missing": []}
    return FleetFit(devices=list(devices), notes=[], **{**values, **fields})  # type: ignore[arg-type]  # the same


def test_devices_are_listed_with_their_verdicts_and_how_many_there_are() -> None:
    text = printed(*fleet_fit_parts(fleet(device(), device("press-2", verdict="fits", suggested="1m"))))
    assert (
        "press-1        1m  too short  10.00000        10m       99.50000        143     10m  10m1s  20m  exact" in text
    )
    assert "1 fit, 1 too short, 0 too long, 0 too few beats. 2 of 9 shown; --limit N or --all shows more." in text


def test_groups_are_listed_in_place_of_devices() -> None:
    group = GroupFit(group="", devices=2, verdicts=VERDICTS, suggested=None, **TEN_MINUTES)  # type: ignore[arg-type]  # as above
    text = printed(*fleet_fit_parts(fleet(group_by="site", groups=[group])))
    assert "(no label)" in text
    assert text.rstrip().endswith("1 fit, 1 too short, 0 too long, 0 too few beats.")


def test_a_device_has_a_sentence_with_what_to_do_and_a_line_a_day() -> None:
    day = DayFit(day="2026-01-01", **TEN_MINUTES)  # type: ignore[arg-type]  # fields of one struct
    fields = {name: getattr(device(), name) for name in DeviceFit.__struct_fields__}
    answer = DeviceFitByDay(**fields, start=START, end=END, days=[day], missing=[], notes=[])
    text = printed(*device_fit_parts(answer))
    assert "its interval of 1m is too short, since its beats are 10m apart" in text
    assert "its uptime of 10.00000 % would be 99.50000 % with 10m" in text
    assert "fleetpulse devices set press-1 --interval 10m" in text
    assert text.count(" 143 ") == 2


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"verdict": "fits"}, "its interval of 1m fits."),
        ({"verdict": "too_few"}, "it has beaten too seldom"),
        ({"resolution": "minute"}, "about 10m apart"),
        ({"verdict": "too_long"}, "is too long"),
    ],
)
def test_what_follows_is_a_sentence(fields: dict[str, object], text: str) -> None:
    assert text in fit_text(device(**fields))


def test_the_csv_has_only_what_is_to_be_set() -> None:
    answer = fleet(device("=1"), device("b", verdict="fits"), device("c", verdict="too_few", suggested=None))
    assert intervals_csv(answer) == "device_id,interval\r\n'=1,10m\r\n"


@pytest.mark.parametrize("flags", [["--group-by", "site"], ["--limit", "100"], ["--limit", "5", "--unfit"]])
def test_a_csv_is_of_all_devices_and_refuses_flags_that_it_would_ignore(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "intervals.csv"
    assert main(["devices", "fit", *flags, "-o", str(target), "--url", "http://127.0.0.1:9"]) == 1
    assert "-o writes the intervals of all devices: leave out --group-by and --limit." in capsys.readouterr().err
    assert not target.exists()


def test_short_distances_have_tenths() -> None:
    assert [length_text(seconds) for seconds in (None, 60.0, 60.24, 86_400.5)] == ["–", "1m", "60.2s", "1d"]


class Service:
    """Answers one question, or refuses it."""

    def __init__(self, answer: DeviceFitByDay | CommandRefused) -> None:
        self.answer = answer
        self.windows: list[object] = []

    def get(self, _path: str, query: list[tuple[str, object]]) -> Answer:
        self.windows.append(dict(query)["window"])
        if isinstance(self.answer, CommandRefused):
            raise self.answer
        return Answer.of(self.answer, server_s=0)


def test_a_device_is_shown_with_a_warning_and_also_where_nothing_is_known_of_its_interval() -> None:
    def shown(answer: DeviceFitByDay | CommandRefused, interval: str = "1m") -> tuple[str, list[object]]:
        service = Service(answer)
        about = SimpleNamespace(id="press-1", interval=interval)
        return printed(*fit_warnings(cast(Any, service), cast(Any, about))), service.windows

    by_day = {"start": START, "end": END, "days": [], "missing": [], "notes": []}

    def answer(**fields: object) -> DeviceFitByDay:
        one = device(**fields)
        values = {name: getattr(one, name) for name in one.__struct_fields__}
        return DeviceFitByDay(**values, **by_day)  # type: ignore[arg-type]  # fields of one struct

    text, windows = shown(answer())
    assert (text.startswith("warning: its interval of 1m is too short"), windows) == (True, ["86400s"])
    assert shown(answer(verdict="fits"), "31d") == ("", [f"{366 * 86_400}s"])
    text, windows = shown(CommandRefused("window_days_max", status=422), "1d")
    assert ("not known: window_days_max" in text, windows) == (True, [f"{20 * 86_400}s"])
