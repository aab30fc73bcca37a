"""Settings: where they come from, which source wins, and what is refused in which words."""

from pathlib import Path
from typing import Any

import pytest

from fleetpulse.errors import SettingsError
from fleetpulse.limits import IngestLimits
from fleetpulse.settings import GROUPS, Entry, Settings, entries, load_settings

NAMES_SINCE_0_1 = """
    host port data blocks s3_endpoint s3_region s3_timeout_s cache_bytes_max kept_bytes_max devices metrics
    auto_define interval_s grace_s auto_register insecure log_format devices_max label_names_max metrics_max
    report_metrics_max windows_max window_days_max cells_max header_bytes_max header_count_max body_bytes_max
    bulk_body_bytes_max decompressed_bytes_max decompress_ratio_max bulk_bytes_held_max bulk_at_once_max
    bulk_lines_max refusals_listed_max first_byte_s header_s body_s idle_s write_s connections_max
    connections_per_address_max events_waiting_max future_s checkpoint_s checkpoint_journal_entries
    checkpoint_late_rows checkpoint_samples checkpoint_silences shutdown_s
"""
"""Whoever wrote one of these into a file or a script goes on with it."""


@pytest.mark.parametrize("name", NAMES_SINCE_0_1.split())
def test_every_name_that_was_ever_valid_still_is_in_every_source(name: str, tmp_path: Path) -> None:
    (entry,) = (entry for entry in entries() if name in (entry.name, entry.about.former_name))
    file = tmp_path / "fleetpulse.toml"
    default = str(entry.default).lower() if entry.kind is bool else entry.default
    file.write_text(f"{name} = {default!r}" if entry.kind is str else f"{name} = {default}")
    for sources in (
        ({name: entry.default}, {}, None),
        ({}, {f"FLEETPULSE_{name.upper()}": str(entry.default)}, None),
        ({}, {}, file),
    ):
        assert load_settings(*sources) == Settings()


def test_every_setting_stands_in_one_group_with_a_sentence_and_a_default_in_its_range() -> None:
    names = [entry.name for group in GROUPS for entry in entries(group)]
    assert sorted(names) == sorted(entry.name for entry in entries())
    for entry in entries():
        assert entry.about.text.endswith("."), entry.name
        assert load_settings({entry.name: str(entry.default)}, {}, None) == Settings()


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "fleetpulse.toml"
    file.write_text("port = 1\ngrace_s = 2\nkept_bytes_max = 3\nauto_define = true")
    environment = {"FLEETPULSE_PORT": "10", "FLEETPULSE_GRACE_S": "20", "FLEETPULSE_URL": "not a setting", "HOME": "/"}
    settings = load_settings({"port": "100", "auto_define": False}, environment, file)
    assert (settings.port, settings.grace_s, settings.memory_cache_bytes_max, settings.auto_define) == (
        100,
        20,
        3,
        False,
    )


def test_a_stage_takes_the_settings_as_the_group_that_it_reads() -> None:
    settings = load_settings({"header_s": "2.5"}, {}, None)
    assert isinstance(settings, IngestLimits)
    assert settings.header_s == 2.5


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"earliest": "2020"}, "earliest must be an RFC 3339 time from 1970 on"),
        ({"earliest": "2020-01-01T00:00:00"}, "earliest must be an RFC 3339 time from 1970 on"),
        ({"earliest": "1969-12-31T23:59:59Z"}, "earliest must be an RFC 3339 time from 1970 on"),
        ({"prot": "1"}, "flag: unknown setting `prot`; did you mean port?"),
        ({"zzz": "1"}, "flag: unknown setting `zzz`; docs/reference/settings.md lists all"),
        ({"port": "x"}, "flag: port must be of type int, not `x`"),
        ({"port": 1.5}, "flag: port must be of type int, not `1.5`"),
        ({"port": "65536"}, "flag: port must be 0 to 65535, not 65536"),
        ({"header_s": "0"}, "flag: header_s must be at least 0.1, not 0"),
        ({"header_s": "nan"}, "flag: header_s must be of type float, not `nan`"),
        ({"insecure": "perhaps"}, "flag: insecure must be of type bool, not `perhaps`"),
        ({"log_format": "xml"}, "flag: log_format must be one of auto, console, json, not xml"),
        ({"checkpoint_silences": "0"}, "flag: checkpoint_silences must be at least 1, not 0"),
        (
            {"checkpoint_silences": "1", "checkpoint_reception_gaps": "1"},
            "flag: checkpoint_silences is the former name of checkpoint_reception_gaps: give one of them",
        ),
        (
            {"bulk_lines_max": "9", "events_waiting_max": "8"},
            "bulk_lines_max (9) must not be more than events_waiting_max",
        ),
    ],
)
def test_what_cannot_be_says_where_it_stands_and_what_is_expected(flags: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(flags, {}, None)
    assert str(caught.value).startswith(text)


def test_a_wrong_setting_in_the_environment_or_the_file_names_that_source(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^environment: port must be 0 to 65535"):
        load_settings({}, {"FLEETPULSE_PORT": "-1"}, None)
    file = tmp_path / "fleetpulse.toml"
    file.write_text("body_bytes_mx = 9")
    with pytest.raises(SettingsError, match=rf"^{file}: unknown setting `body_bytes_mx`; did you mean body_bytes_max"):
        load_settings({}, {}, file)
    file.write_text("port 1")
    with pytest.raises(SettingsError, match=rf"^{file}: cannot be read as TOML: "):
        load_settings({}, {}, file)


@pytest.mark.parametrize("entry", [entry for entry in entries() if entry.kind in {int, float}], ids=lambda e: e.name)
def test_a_number_that_no_stage_holds_is_refused_by_the_name_of_its_setting(entry: Entry, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    for text in ("1" + "0" * 400, "-1" + "0" * 400, "1" + "0" * 6_000, "inf", "-inf", "nan", "1e400", "1e300"):
        file.write_text(f"{entry.name} = {text}", encoding="utf-8")
        for environment, path in (({f"FLEETPULSE_{entry.name.upper()}": text}, None), ({}, file)):
            with pytest.raises(SettingsError, match=rf"{entry.name}|cannot be read as TOML"):
                load_settings({}, environment, path)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("\ufeffport = 5", encoding="utf-8")
    assert load_settings({}, {}, file).port == 5


@pytest.mark.parametrize(
    "url", ["fleet.example.org", "ftp://a", "https://", "https://a?b", "https://u@a", "https://a b", "https://[a"]
)
def test_the_external_address_must_be_one(url: str) -> None:
    with pytest.raises(SettingsError, match="external_url must be an address such as"):
        load_settings({"external_url": url}, {}, None)
    assert load_settings({"external_url": "https://a.example/fleet/"}, {}, None).external_url
