"""What flags become: parameters of a question, and the address of the service."""

import pytest

from fleetpulse.cli.flags import URL_DEFAULT, Address, Filters, Grouping, StepWindow, Window, labels_of
from fleetpulse.cli.metric_definitions import Fields
from fleetpulse.cli.tables import time_cell
from fleetpulse.errors import SettingsError


def given(window: Window) -> dict[str, object]:
    return {name: value for name, value in window.query() if value is not None}


def test_a_window_is_the_default_until_another_or_its_ends_are_given() -> None:
    assert given(Window()) == {"window": "24h"}
    assert Window().query(default="1h")[0] == ("window", "1h")
    assert given(Window(window="7d")) == {"window": "7d"}
    assert given(Window(end="2026-01-01T00:00:00Z")) == {"to": "2026-01-01T00:00:00Z"}
    assert given(Window(month="2026-10", timezone="Europe/Paris")) == {"month": "2026-10", "timezone": "Europe/Paris"}
    assert StepWindow(step="1h").query()[-1] == ("step", "1h")


def test_window_and_ends_together_are_passed_on_for_the_service_to_refuse() -> None:
    assert given(Window(window="1h", start="a")) == {"window": "1h", "from": "a"}


def test_times_are_printed_in_the_zone_of_the_window() -> None:
    Window(timezone="Europe/Paris").query()
    assert time_cell("2026-11-24T08:30:00Z") == "2026-11-24T09:30:00+01:00"
    Window().query()
    assert time_cell("2026-11-24T08:30:00.5Z") == "2026-11-24T08:30:00Z"


def test_filters_and_labels_become_parameters_of_the_same_name() -> None:
    query = Filters(status=("down", "late"), label=("site:a:b", "hall:7"), uptime_below="99").query()
    given = [(name, value) for name, value in query if value is not None]
    assert given == [
        ("status", "down"),
        ("status", "late"),
        ("uptime_below", "99"),
        ("label", "site:a:b"),
        ("label", "hall:7"),
    ]
    assert Grouping(group_by="site").query() == [("group_by", "site"), ("include_deleted", None)]
    assert labels_of(("site:a:b", "site:c", "hall:7")) == {"site": "c", "hall": "7"}


def test_the_address_is_the_flag_or_the_environment_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLEETPULSE_URL", "http://fleet.example")
    assert Address().base == "http://fleet.example"
    assert Address(url="http://other.example").base == "http://other.example"
    monkeypatch.setenv("FLEETPULSE_URL", "")
    assert Address().base == URL_DEFAULT


def test_numbers_of_a_definition_stay_as_exact_as_they_were_written() -> None:
    body = Fields(unit="%", raw_days="none", retention_days=9).body()
    assert body == {"unit": "%", "retention_days": 9, "raw_days": None}
    assert Fields(raw_days="9007199254740993").body() == {"raw_days": 9007199254740993}
    with pytest.raises(SettingsError, match="`soon` is not a number"):
        Fields(raw_days="soon").body()
