"""What flags become: parameters of a question, and the address of the service."""

import pytest

from fleetpulse.cli.flags import URL_DEFAULT, Address, Filters, Grouping, StepWindow, Window, labels_of
from fleetpulse.cli.metric_definitions import Fields
from fleetpulse.errors import SettingsError


def test_a_window_is_the_default_until_another_or_its_ends_are_given() -> None:
    assert Window().query() == [("window", "24h"), ("from", None), ("to", None)]
    assert Window().query(default="1h")[0] == ("window", "1h")
    assert Window(window="7d").query()[0] == ("window", "7d")
    assert Window(end="2026-01-01T00:00:00Z").query() == [
        ("window", None),
        ("from", None),
        ("to", "2026-01-01T00:00:00Z"),
    ]
    assert StepWindow(step="1h").query()[-1] == ("step", "1h")


def test_window_and_ends_together_are_passed_on_for_the_service_to_refuse() -> None:
    assert Window(window="1h", start="a").query()[:2] == [("window", "1h"), ("from", "a")]


def test_filters_and_labels_become_parameters_of_the_same_name() -> None:
    query = Filters(status="down,late", label=("site:a:b", "hall:7"), uptime_below="99").query()
    given = [(name, value) for name, value in query if value is not None]
    assert given == [("status", "down,late"), ("uptime_below", "99"), ("label", "site:a:b"), ("label", "hall:7")]
    assert Grouping(group_by="site").query() == [("group_by", "site")]
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
