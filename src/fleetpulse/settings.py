"""Every setting once: type, default, unit, range, and what happens at the limit, in groups.

A setting is given as a flag (`--body-bytes-max`), in the environment (`FLEETPULSE_BODY_BYTES_MAX`) or in a TOML file
(`body_bytes_max = …`); the flag wins over the environment, the environment over the file. Unknown names are refused.
`FLEETPULSE_NAME_FILE` names a file with the value. A field of a group becomes all of this, and a line of the reference.
"""

import difflib
import math
import tomllib
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, fields
from inspect import get_annotations
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from fleetpulse.alert_settings import AlertSettings, ConditionSettings, DeliverySettings, DeskLimits, RuleLimits
from fleetpulse.catalog_settings import CatalogSettings
from fleetpulse.errors import SettingsError
from fleetpulse.journal_settings import JournalSettings, check_journal
from fleetpulse.limits import (
    About,
    AuditLimits,
    BlockGrace,
    CheckpointTriggers,
    ClockLimits,
    DiskLimits,
    ExportLimits,
    IngestLimits,
    QuestionLimits,
    RetentionLimits,
    setting,
)
from fleetpulse.rate_settings import DailyLimits, RateSettings
from fleetpulse.secret_files import SUFFIX, read_secret_file
from fleetpulse.sign_in_limits import IssuerSettings, SignInLimits
from fleetpulse.stream_settings import StreamLimits
from fleetpulse.telemetry_settings import TelemetrySettings

ENVIRONMENT_PREFIX = "FLEETPULSE_"
INTEGER_HIGHEST = 2**63 - 1
SECONDS_HIGHEST = 1e9
"""32 years: longer times overflow the timers of the system."""
ENVIRONMENT_ONLY = {"CONFIG", "URL", "KEY", "KEY_FILE"}


@dataclass(frozen=True, kw_only=True)
class Server:
    """Address and logs."""

    host: str = setting("127.0.0.1", "Address to listen on; beyond loopback the service is protected, see --auth.")
    port: int = setting(6733, "TCP port; 0 lets the system choose a free one, which the log names.", "", 0, 65_535)
    auth: Literal["auto", "required", "off"] = setting(
        "auto", "Who needs a key: auto means everybody, but on loopback only from the first key on."
    )
    insecure: bool = setting(default=False, text="Old spelling of --auth off.")
    log_format: Literal["auto", "console", "json"] = setting("auto", "Form of the log; auto is console on a terminal.")
    files_reserved: int = setting(
        256, "Open files kept for journal, catalog and blocks; connections get the rest.", "files", 16, 1_000_000
    )
    ready_wait_s: float = setting(
        0.0, "How long new connections wait for a start to end; after it, events get 503 `starting`.", "s", 0, 60
    )
    shutdown_s: float = setting(10.0, "Time in which the service stops; after it, it ends as by a crash.", "s", 0.1)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """TLS, proxies and browsers."""

    tls_certificate: str = setting(
        "", "PEM file of the server's certificate and its chain; with it, only HTTPS is answered. Empty: HTTP."
    )
    tls_key: str = setting("", "PEM file of its private key, without a password; empty: it is in the same file.")
    tls_client_ca: str = setting(
        "", "PEM file of authorities whose client certificates stand for the devices that they name; empty: none."
    )
    tls_client_crl: str = setting("", "PEM file of the client certificates that these have revoked; empty: none.")
    tls_client_required: bool = setting(default=False, text="Refuse connections without a client certificate.")
    tls_check_s: float = setting(
        10.0, "Time between two looks whether these files have changed; SIGHUP reads them at once.", "s", 0.1, 86_400
    )
    hsts_s: int = setting(
        31_536_000, "Time in which browsers ask by HTTPS only, where TLS is on; 0: not said.", "s", 0, 315_360_000
    )
    trusted_proxies: str = setting(
        "", "Proxies whose word about the client counts: addresses and networks, with commas between; empty: none."
    )
    proxy_protocol: bool = setting(
        default=False, text="Connections of trusted proxies begin with a PROXY protocol header, version 2."
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = setting(
        "x-forwarded-for", "Header by which trusted proxies name the client; the other one is ignored."
    )
    cors_origins: str = setting(
        "", "Origins of web pages that may ask from a browser, such as https://grafana.example, with commas between."
    )


@dataclass(frozen=True, kw_only=True)
class Storage:
    """Data folder and blocks."""

    data: str = setting("./data", "Data folder; created if it does not exist.")
    node_name: str = setting("", "Name of this process among several nodes; empty for the name of the host.")
    database_wait_s: float = setting(
        10.0, "Time to wait for a lock of another program on journal or catalog; after it, 503.", "s", 0, 3_600
    )
    accept_loss: bool = setting(
        default=False,
        text="Start although acknowledged data has vanished; give it for one start, which says what is missing.",
    )
    commit_timeout_s: float = setting(
        10.0, "Time that the disk may take for a commit; after it, 503 `outcome_unknown`.", "s", 0.1, 3_600
    )
    blocks: str = setting("", "Where blocks are stored: s3://bucket/prefix, or empty for a folder in the data folder.")
    s3_endpoint: str = setting("", "URL of the S3 store, such as http://127.0.0.1:9000; empty for AWS.")
    s3_region: str = setting("", "Region of the S3 store; empty for AWS_REGION, or us-east-1 without it.")
    s3_timeout_s: float = setting(6.0, "Time without an answer of the S3 store until a request is repeated.", "s", 0.1)
    s3_retry_s: float = setting(
        10.0, "Time until the S3 store is asked again for what it did not give at the start.", "s", 0.1, 3_600
    )
    cache_bytes_max: int = setting(
        10_737_418_240, "Copies of S3 files on disk; beyond it, the least recently used are evicted.",
        "bytes", 1_048_576,
    )  # fmt: skip
    memory_cache_bytes_max: int = setting(
        67_108_864,
        "Footers and small columns of blocks in memory; beyond it, the least recently used are evicted.",
        "bytes",
        0,
        former_name="kept_bytes_max",
    )


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """Devices and metrics."""

    devices: str = setting("", "devices.csv to read at start and on SIGHUP; empty reads none.")
    metrics: str = setting("", "metrics.json to read at start and on SIGHUP; empty reads none.")
    alerts: str = setting("", "alerts.toml to read at start and on SIGHUP; empty reads none.")
    auto_register: bool = setting(default=False, text="Register unknown devices instead of answering 404.")
    auto_define: bool = setting(default=False, text="Define unknown metrics (float, avg) instead of refusing them.")
    devices_max: int = setting(2_000_000, "Known devices; beyond it, registering is refused (422).", "devices", 1)
    label_names_max: int = setting(
        256, "Different names of labels; beyond it, a device is refused (422).", "names", 1, 10_000
    )
    policies_max: int = setting(
        1_024, "Different pairs of interval and grace; beyond it, a device is refused (422).", "pairs", 1, 65_000
    )
    policy_changes_max: int = setting(
        32, "Changes of a device's interval and grace that are kept; beyond it, the oldest are joined.",
        "changes", 2, 1_000,
    )  # fmt: skip
    metrics_max: int = setting(1_000, "Defined metrics; beyond it, 422.", "metrics", 1, 65_535)
    keys_max: int = setting(4_000_000, "Keys that are not revoked; beyond it, making one is refused (422).", "keys", 1)
    key_use_s: float = setting(
        60.0, "How often it is written down when keys were last used; a crash costs what was not.", "s", 1, 86_400
    )
    windows_max: int = setting(1_000, "Maintenance windows; beyond it, 422.", "windows", 1)
    window_devices_max: int = setting(
        10_000, "Device ids that a maintenance window names; beyond it, 422.", "devices", 1, 1_000_000
    )


@dataclass(frozen=True, kw_only=True)
class HeartbeatDefaults:
    """Heartbeat policy."""

    interval_s: int = setting(
        60, "Time between two heartbeats of a device without its own interval.", "s", 1, 2_678_400
    )
    grace_s: int = setting(240, "Time after its interval until a device that is not heard is down.", "s", 0, 604_800)
    gap_factor: float = setting(
        1.5, "Two heartbeats that are more than so many intervals apart have a gap between them.", "intervals", 1.1, 10
    )


@dataclass(frozen=True, kw_only=True)
class Settings(
    Server,
    Edge,
    Storage,
    JournalSettings,
    CatalogSettings,
    Definitions,
    HeartbeatDefaults,
    IngestLimits,
    RateSettings,
    DailyLimits,
    DiskLimits,
    ClockLimits,
    QuestionLimits,
    ExportLimits,
    StreamLimits,
    CheckpointTriggers,
    RetentionLimits,
    AuditLimits,
    BlockGrace,
    AlertSettings,
    DeliverySettings,
    ConditionSettings,
    DeskLimits,
    RuleLimits,
    SignInLimits,
    IssuerSettings,
    TelemetrySettings,
):
    """All settings of `fleetpulse serve`, and thereby each of the groups.

    The order of the groups is that of `--help` and of the reference.
    """


GROUPS: tuple[type, ...] = tuple(group for group in Settings.__mro__ if get_annotations(group))
"""The groups that declare settings, in their order; the first line of each docstring is its title in `--help`."""


class Entry(NamedTuple):
    """One setting as it was declared. `kind` is str, int, float or bool; `choices` are those of a Literal."""

    name: str
    kind: type
    default: Any
    choices: tuple[str, ...]
    about: About

    @property
    def range_text(self) -> str:
        """The range in words; empty where every value is allowed."""
        lowest, highest = self.about.lowest, self.about.highest
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if lowest is None:
            return ""
        return f"at least {lowest:.12g}" if highest is None else f"{lowest:.12g} to {highest:.12g}"


def entries(group: Any = Settings) -> Iterator[Entry]:
    """The settings of a group, in their order."""
    for field in fields(group):
        choices = get_args(field.type)
        yield Entry(field.name, type(field.default), field.default, choices, field.metadata["about"])


def group_title(group: type) -> str:
    """The title of a group in `--help` and in the reference."""
    return (group.__doc__ or "").rstrip(".")


def load_settings(flags: Mapping[str, Any], environment: Mapping[str, str], file: Path | None) -> Settings:
    """Defaults, then `file`, then `environment`, then `flags`; the last one that names a setting wins.

    Raises: SettingsError: names the setting and its source.
    """
    known = {name: entry for entry in entries() for name in (entry.name, entry.about.former_name) if name}
    values: dict[str, Any] = {}
    sources = ((str(file), _from_file(file)), ("environment", _from_environment(environment, known)), ("flag", flags))
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
    if settings.insecure and settings.auth == "required":
        raise SettingsError("insecure is the old spelling of auth = off, and auth is required: give one of them")
    if settings.bulk_lines_max > settings.events_waiting_max:
        raise SettingsError(
            f"bulk_lines_max ({settings.bulk_lines_max}) must not be more than events_waiting_max "
            f"({settings.events_waiting_max}): a body of so many lines could never be accepted"
        )
    check_journal(settings)
    try:
        _ = settings.earliest_ns
    except ValueError as error:
        raise SettingsError(
            f"earliest must be an RFC 3339 time from 1970 on, such as 2020-01-01T00:00:00Z, not `{settings.earliest}`"
        ) from error
    return settings


def _from_file(file: Path | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:  # also a number of more digits than Python reads
        raise SettingsError(f"{file}: cannot be read as TOML: {error}") from error


def _from_environment(environment: Mapping[str, str], known: Container[str]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for variable, value in environment.items():
        short = variable.removeprefix(ENVIRONMENT_PREFIX)
        if short == variable or short in ENVIRONMENT_ONLY:
            continue
        name, plain = short.lower(), short.removesuffix(SUFFIX).lower()
        if name not in known and plain in known:
            values[plain] = read_secret_file(variable, value, environment)
        else:
            values[name] = value
    return values


def _convert(entry: Entry, name: str, value: Any, source: str) -> Any:
    kind = entry.kind
    if entry.about.former_name and name == entry.name:
        name += f" (formerly {entry.about.former_name})"  # a flag does not tell by which of its names it was given
    try:
        if kind is bool:
            converted: Any = value if isinstance(value, bool) else _TRUTH[str(value).lower()]
        elif isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise ValueError
        else:
            converted = kind(value)
            if kind is float and not math.isfinite(converted):
                raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SettingsError(f"{source}: {name} must be of type {kind.__name__}, not `{_shown(value)}`") from error
    lowest, highest = entry.about.lowest, entry.about.highest
    if (
        (entry.choices and converted not in entry.choices)
        or (lowest is not None and not converted >= lowest)
        or (highest is not None and converted > highest)
    ):
        raise SettingsError(f"{source}: {name} must be {entry.range_text}, not {_shown(value)}")
    # What has no limit of its own must still fit into what it is handed to: 64 bits, or a span of time.
    if kind in (int, float) and converted > (SECONDS_HIGHEST if kind is float else INTEGER_HIGHEST):
        highest = SECONDS_HIGHEST if kind is float else INTEGER_HIGHEST
        raise SettingsError(f"{source}: {name} must be at most {highest}, not {_shown(value)}")
    return converted


def _shown(value: Any) -> str:
    """A value in an error; a number of thousands of digits, which Python does not even write, is shortened."""
    try:
        text = str(value)
    except ValueError:
        return "a number of more than 4,300 digits"
    return text if len(text) <= 100 else f"{text[:100]}…"


_TRUTH = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
