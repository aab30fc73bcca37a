"""Every setting once: type, default, unit, range, and what happens at the limit, in groups.

A setting is given as a flag (`--body-bytes-max`), in the environment (`FLEETPULSE_BODY_BYTES_MAX`) or in a TOML file
(`body_bytes_max = …`); the flag wins over the environment, the environment over the file. Unknown names are refused.
To add one, add a field to a group: all of the above, `--help` and docs/reference/settings.md follow from it.
"""

import difflib
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from fleetpulse.errors import SettingsError
from fleetpulse.limits import (
    BulkLimits,
    CheckpointTriggers,
    ConnectionLimits,
    EventLimits,
    IngestLimits,
    QuestionLimits,
    Setting,
)

ENVIRONMENT_PREFIX = "FLEETPULSE_"
ENVIRONMENT_ONLY = {"CONFIG", "URL"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Address and logs."""

    host: Annotated[
        str, Setting("Address to listen on; any other than loopback needs --insecure while there are no keys.")
    ] = "127.0.0.1"
    port: Annotated[
        int, Setting("TCP port; with 0 the system chooses a free one, which the log names.", "", 0, 65_535)
    ] = 6733
    insecure: Annotated[bool, Setting("Listen beyond loopback although nobody has to show a key.")] = False
    log_format: Annotated[
        Literal["auto", "console", "json"],
        Setting("Form of the log; auto is console on a terminal and json elsewhere."),
    ] = "auto"
    shutdown_s: Annotated[float, Setting("Time that open requests get to finish when the service stops.", "s", 0)] = (
        10.0
    )


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Data folder and blocks."""

    data: Annotated[str, Setting("Data folder; created if it does not exist.")] = "./data"
    blocks: Annotated[
        str, Setting("Where blocks are stored: s3://bucket/prefix, or empty for a folder inside the data folder.")
    ] = ""
    s3_endpoint: Annotated[str, Setting("URL of the S3 store, such as http://127.0.0.1:9000; empty for AWS.")] = ""
    s3_region: Annotated[str, Setting("Region of the S3 store; empty for AWS_REGION, or us-east-1 without it.")] = ""
    s3_timeout_s: Annotated[
        float, Setting("Time without an answer after which a request to the S3 store is tried again.", "s", 0.1)
    ] = 6.0
    cache_bytes_max: Annotated[
        int,
        Setting("Copies of S3 files on disk; beyond it, the least recently used are evicted.", "bytes", 1_048_576),
    ] = 10_737_418_240
    memory_cache_bytes_max: Annotated[
        int,
        Setting(
            "Footers and small columns of blocks in memory; beyond it, the least recently used are evicted.",
            "bytes",
            0,
            former_name="kept_bytes_max",
        ),
    ] = 67_108_864


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """Devices and metrics."""

    devices: Annotated[str, Setting("devices.csv to read at start and on SIGHUP; empty reads none.")] = ""
    metrics: Annotated[str, Setting("metrics.json to read at start and on SIGHUP; empty reads none.")] = ""
    auto_register: Annotated[bool, Setting("Register unknown devices instead of answering 404.")] = False
    auto_define: Annotated[
        bool, Setting("Define unknown metrics (kind float, aggregation avg) instead of refusing them.")
    ] = False
    devices_max: Annotated[int, Setting("Known devices; registering more is refused with 422.", "devices", 1)] = (
        2_000_000
    )
    label_names_max: Annotated[
        int, Setting("Different names of labels; a device that adds more is refused with 422.", "names", 1, 10_000)
    ] = 256
    metrics_max: Annotated[
        int, Setting("Defined metrics; defining more is refused with 422.", "metrics", 1, 65_535)
    ] = 1_000
    windows_max: Annotated[int, Setting("Maintenance windows; declaring more is refused with 422.", "windows", 1)] = (
        1_000
    )


@dataclass(frozen=True, kw_only=True)
class HeartbeatDefaults:
    """Heartbeat policy."""

    interval_s: Annotated[
        int, Setting("Time between two heartbeats of a device that has no interval of its own.", "s", 1, 86_400)
    ] = 60
    grace_s: Annotated[
        int, Setting("Time after its interval until a device that is not heard is down.", "s", 0, 604_800)
    ] = 240


GROUPS: tuple[type, ...] = (
    Server,
    Storage,
    Definitions,
    HeartbeatDefaults,
    ConnectionLimits,
    BulkLimits,
    EventLimits,
    QuestionLimits,
    CheckpointTriggers,
)
"""In the order of `--help` and of the reference; the first line of each docstring is its title there."""


@dataclass(frozen=True, kw_only=True)
class Settings(Server, Storage, Definitions, HeartbeatDefaults, IngestLimits, QuestionLimits, CheckpointTriggers):
    """All settings of `fleetpulse serve`, and thereby each of the groups."""


class Entry(NamedTuple):
    """One setting as it was declared. `kind` is str, int, float or bool; `choices` are those of a Literal."""

    name: str
    kind: type
    default: Any
    choices: tuple[str, ...]
    about: Setting

    @property
    def range_text(self) -> str:
        """The range in words; empty where every value is allowed."""
        lowest, highest = self.about.lowest, self.about.highest
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if lowest is None:
            return ""
        return f"at least {lowest:.12g}" if highest is None else f"{lowest:.12g} to {highest:.12g}"


def entries(group: type = Settings) -> Iterator[Entry]:
    """The settings of a group, in their order."""
    for field in fields(group):
        kind, about = get_args(field.type)
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        yield Entry(field.name, str if choices else kind, field.default, choices, about)


def group_title(group: type) -> str:
    """The title of a group in `--help` and in the reference."""
    return (group.__doc__ or "").rstrip(".")


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Defaults, then `file`, then `environment`, then `flags`; the last one that names a setting wins.

    Raises: SettingsError: names the setting and its source.
    """
    known = {name: entry for entry in entries() for name in (entry.name, entry.about.former_name) if name}
    values: dict[str, Any] = {}
    sources = ((str(file), _from_file(file)), ("environment", _from_environment(environment)), ("flag", flags))
    for source, given in sources:
        for name, value in given.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean {close[0]}?" if close else "; docs/reference/settings.md lists all"
                raise SettingsError(f"{source}: unknown setting `{name}`{hint}")
            entry = known[name]
            if name != entry.name and entry.name in given:
                raise SettingsError(f"{source}: {name} is the former name of {entry.name}: give one of them")
            values[entry.name] = _convert(entry, name, value, source)
    settings = Settings(**values)
    if settings.bulk_lines_max > settings.events_waiting_max:
        raise SettingsError(
            f"bulk_lines_max ({settings.bulk_lines_max}) must not be more than events_waiting_max "
            f"({settings.events_waiting_max}): a body of so many lines could never be accepted"
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


def _convert(entry: Entry, name: str, value: Any, source: str) -> Any:
    kind = entry.kind
    try:
        if kind is bool:
            converted: Any = value if isinstance(value, bool) else _TRUTH[str(value).lower()]
        elif isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        else:
            converted = kind(value)
            if kind is float and not math.isfinite(converted):
                raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{source}: {name} must be of type {kind.__name__}, not `{value}`") from error
    lowest, highest = entry.about.lowest, entry.about.highest
    if (
        (entry.choices and converted not in entry.choices)
        or (lowest is not None and not converted >= lowest)
        or (highest is not None and converted > highest)
    ):
        raise SettingsError(f"{source}: {name} must be {entry.range_text}, not {value}")
    return converted


_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
