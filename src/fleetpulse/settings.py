"""Every setting once: name, default, unit, and what happens at the limit.

A setting is given as a flag (`--body-bytes-max`), in the environment (`FLEETPULSE_BODY_BYTES_MAX`) or in a TOML file
(`body_bytes_max = …`); the flag wins over the environment, the environment over the file. Unknown names are refused.
"""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from fleetpulse.errors import SettingsError

ENVIRONMENT_PREFIX = "FLEETPULSE_"
ENVIRONMENT_ONLY = {"CONFIG", "URL"}


def _setting(
    default: Any, text: str, *, lowest: float | None = None, highest: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    return field(default=default, metadata={"text": text, "lowest": lowest, "highest": highest, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `fleetpulse serve` can be told."""

    host: str = _setting(
        "127.0.0.1", "address to listen on; others than loopback need --insecure while there are no keys"
    )
    port: int = _setting(6733, "TCP port; 0 takes a free one and logs it", lowest=0, highest=65535)
    data: str = _setting("./data", "data folder; made if it does not exist")
    blocks: str = _setting("", "where blocks are kept: empty for a folder of the data folder, or s3://bucket/prefix")
    s3_endpoint: str = _setting("", "where the S3 store answers, such as http://127.0.0.1:9000; empty for AWS")
    s3_region: str = _setting("", "region of the S3 store; empty for AWS_REGION, else us-east-1")
    s3_timeout_s: float = _setting(
        6.0, "seconds of silence after which a request to the S3 store is tried again", lowest=0.1
    )
    cache_bytes_max: int = _setting(
        10_737_418_240, "bytes of warm S3 files kept on disk; past it: the longest unused go", lowest=1_048_576
    )
    kept_bytes_max: int = _setting(
        67_108_864, "bytes of footers and small columns kept in memory; past it: the longest unused go", lowest=0
    )
    devices: str = _setting("", "devices.csv to read at start and on SIGHUP; empty reads none")
    metrics: str = _setting("", "metrics.json to read at start and on SIGHUP; empty reads none")
    auto_define: bool = _setting(
        default=False, text="define unknown metrics (kind float, avg) instead of refusing them"
    )
    interval_s: int = _setting(
        60, "seconds between two beats of a device, where it has no interval of its own", lowest=1, highest=86_400
    )
    grace_s: int = _setting(240, "seconds past its interval until a silent device is down", lowest=0, highest=604_800)
    auto_register: bool = _setting(default=False, text="register unknown devices instead of answering 404")
    insecure: bool = _setting(default=False, text="listen beyond loopback although nobody has to show a key")
    log_format: str = _setting(
        "auto", "auto (console on a terminal, else json), console or json", choices=("auto", "console", "json")
    )
    devices_max: int = _setting(2_000_000, "devices known at most; past it: registration is refused (422)", lowest=1)
    label_names_max: int = _setting(
        256, "different names of labels; past it: a device is refused (422)", lowest=1, highest=10_000
    )
    metrics_max: int = _setting(
        1_000, "metrics defined at most; past it: a definition is refused (422)", lowest=1, highest=65_535
    )
    report_metrics_max: int = _setting(256, "metrics in one report; past it: 422", lowest=1, highest=65_535)
    windows_max: int = _setting(1_000, "maintenance windows at most; past it: a new one is refused (422)", lowest=1)
    window_days_max: int = _setting(3_660, "days in the window of a question; past it: 422", lowest=1, highest=36_500)
    cells_max: int = _setting(100_000, "figures in one answer (groups × steps × types); past it: 422", lowest=1)
    header_bytes_max: int = _setting(16_384, "bytes of a request's header; past it: 431 and close", lowest=512)
    header_count_max: int = _setting(64, "headers of a request; past it: 431 and close", lowest=4)
    body_bytes_max: int = _setting(65_536, "bytes of a body, bulk aside; past it: 413 and close", lowest=128)
    bulk_body_bytes_max: int = _setting(
        8_388_608, "bytes of a bulk body on the wire; past it: 413 and close", lowest=1024
    )
    decompressed_bytes_max: int = _setting(67_108_864, "bytes of a bulk body decompressed; past it: 413", lowest=1024)
    decompress_ratio_max: int = _setting(
        100,
        "decompressed over compressed size of a bulk body that unfolds past bulk_body_bytes_max; past it: 413",
        lowest=2,
    )
    bulk_bytes_held_max: int = _setting(
        268_435_456, "bytes of bulk bodies held at once; past it: 503 with Retry-After", lowest=1024
    )
    bulk_at_once_max: int = _setting(4, "bulk bodies unfolded and read at once; past it: they wait", lowest=1)
    bulk_lines_max: int = _setting(200_000, "lines of a bulk body; past it: 413", lowest=1)
    refusals_listed_max: int = _setting(
        100, "refused lines that a bulk answer lists; it says when there were more", lowest=1
    )
    first_byte_s: float = _setting(10.0, "seconds to the first byte of a connection; past it: close", lowest=0.1)
    header_s: float = _setting(10.0, "seconds from first byte to full header; past it: 408 and close", lowest=0.1)
    body_s: float = _setting(30.0, "seconds from full header to full body; past it: 408 and close", lowest=0.1)
    idle_s: float = _setting(75.0, "seconds a connection may rest between requests; past it: close", lowest=0.1)
    write_s: float = _setting(30.0, "seconds a peer may leave its answers unread; past it: cut off", lowest=0.1)
    connections_max: int = _setting(16_384, "open connections; past it: closed at once", lowest=1)
    connections_per_address_max: int = _setting(
        4_096, "open connections of one address; past it: closed at once", lowest=1
    )
    events_waiting_max: int = _setting(262_144, "events waiting for the disk; past it: 503 with Retry-After", lowest=1)
    future_s: float = _setting(
        86_400.0, "seconds that sent_at may be ahead of our clock; past it: 422", lowest=0, highest=1e9
    )
    checkpoint_s: float = _setting(300.0, "seconds between checkpoints", lowest=0.1)
    checkpoint_journal_entries: int = _setting(
        200_000, "journal entries after which a checkpoint is taken early", lowest=1
    )
    checkpoint_late_rows: int = _setting(
        200_000, "device-days of late data after which a checkpoint is taken early", lowest=1
    )
    checkpoint_samples: int = _setting(2_000_000, "samples in memory after which a checkpoint is taken early", lowest=1)
    checkpoint_silences: int = _setting(200_000, "silences in memory after which a checkpoint is taken early", lowest=1)
    shutdown_s: float = _setting(10.0, "seconds that open requests get to finish when the service stops", lowest=0)


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Defaults, then `file`, then `environment`, then `flags`. Raises: SettingsError: names the setting and its source."""
    known = {entry.name: entry for entry in fields(Settings)}
    values: dict[str, Any] = {}
    for source, given in (
        (str(file), _from_file(file)),
        ("environment", _from_environment(environment)),
        ("flag", flags),
    ):
        for name, value in given.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]}?" if close else "; docs/reference/settings.md lists all"
                raise SettingsError(f"{source}: unknown setting `{name}`{hint}")
            values[name] = _convert(known[name], value, source)
    settings = Settings(**values)
    if settings.bulk_lines_max > settings.events_waiting_max:
        raise SettingsError(
            f"bulk_lines_max ({settings.bulk_lines_max}) must not be more than events_waiting_max ({settings.events_waiting_max}): "
            "a body of so many lines could never be taken"
        )
    return settings


def _from_file(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read as TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> Mapping[str, str]:
    names = [name for name in environment if name.startswith(ENVIRONMENT_PREFIX)]
    short = {name: name.removeprefix(ENVIRONMENT_PREFIX) for name in names}
    return {short[name].lower(): environment[name] for name in names if short[name] not in ENVIRONMENT_ONLY}


def _convert(setting: Any, value: Any, source: str) -> Any:
    kind = type(setting.default)
    try:
        if kind is bool:
            converted: Any = value if isinstance(value, bool) else _TRUTH[str(value).lower()]
        elif isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        else:
            converted = kind(value)
            if kind is float and not math.isfinite(converted):
                raise ValueError
    except (ValueError, KeyError) as error:
        raise SettingsError(f"{source}: {setting.name} must be of type {kind.__name__}, not `{value}`") from error
    choices = setting.metadata["choices"]
    if choices and converted not in choices:
        raise SettingsError(f"{source}: {setting.name} must be one of {', '.join(choices)}, not {value}")
    lowest, highest = setting.metadata["lowest"], setting.metadata["highest"]
    if (lowest is not None and not converted >= lowest) or (highest is not None and converted > highest):
        allowed = f"at least {lowest:g}" if highest is None else f"{lowest:g} to {highest:g}"
        raise SettingsError(f"{source}: {setting.name} must be {allowed}, not {value}")
    return converted


_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
