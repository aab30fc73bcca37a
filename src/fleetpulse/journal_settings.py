"""The settings of a journal that several nodes share, which the journal takes as a group; see `limits.py`."""

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from fleetpulse.errors import SettingsError
from fleetpulse.limits import setting

STREAM = "fleetpulse"
PORT = 4222
_STREAM_SHAPE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HINT = "must be like nats://host1:4222,host2:4222/stream, or tls:// instead of nats://"


@dataclass(frozen=True, kw_only=True)
class JournalSettings:
    """Shared journal."""

    journal: str = setting(
        "", "NATS servers and stream that hold the journal: nats://host,host/stream; empty: a file in the data folder."
    )
    nats_monitors: str = setting(
        "",
        "Monitoring URLs of all NATS servers, with commas between, such as http://host:8222; they say whether the "
        "servers sync before they acknowledge.",
    )
    allow_unsynced_journal: bool = setting(
        default=False,
        text="Accept NATS servers that may lose acknowledged events with their power, or cannot be asked whether.",
    )
    nats_user: str = setting("", "User of the NATS servers; empty: none.")
    nats_password: str = setting("", "Its password; give it by FLEETPULSE_NATS_PASSWORD_FILE.")
    nats_tls_ca: str = setting("", "PEM file of authorities for the NATS servers; empty: those of the system.")
    nats_tls_certificate: str = setting("", "PEM file of the client certificate for the NATS servers; empty: none.")
    nats_tls_key: str = setting("", "PEM file of its private key; empty: it is in the same file.")
    journal_replicas: int = setting(
        3, "Servers that hold the stream; a stream that exists must be on so many at least.", "servers", 1, 5
    )
    journal_timeout_s: float = setting(
        8.0, "Time that NATS may take for an entry; after it, 503 `outcome_unknown`.", "s", 0.2, 3_600
    )
    journal_wait_s: float = setting(
        60.0, "Time that a start waits for NATS to answer; after it, the process ends.", "s", 0, 86_400
    )


class StreamPlace(NamedTuple):
    """Where a stream is: host and port of each server, and its name."""

    servers: tuple[str, ...]
    stream: str
    is_tls: bool


def stream_place(text: str) -> StreamPlace:
    """What the setting `journal` names. Raises: SettingsError."""
    scheme, _, rest = text.partition("://")
    hosts, _, stream = rest.partition("/")
    stream = stream or STREAM
    if scheme not in {"nats", "tls"} or not _STREAM_SHAPE.fullmatch(stream) or "@" in hosts:
        secret = ": give user and password by nats_user and nats_password" if "@" in hosts else ""
        raise SettingsError(f"journal {_HINT}{secret}, not `{text.partition('@')[2] or text}`")
    return StreamPlace(tuple(_server(host, text) for host in hosts.split(",")), stream, is_tls=scheme == "tls")


def check_journal(settings: JournalSettings) -> None:
    """Raises: SettingsError: a setting of the group is none."""
    if settings.journal:
        stream_place(settings.journal)
    monitor_urls(settings.nats_monitors)


def check_engines(*, journal: str, catalog: str, blocks: str) -> None:
    """Nodes share everything, or one machine has everything but the blocks, which may be elsewhere.

    With a catalog of its own beside a shared journal, a node would give other names to the numbers of devices; with a
    journal of its own beside a shared catalog, the nodes would not see each other's events.
    Raises: SettingsError: one of the values of these settings is missing, or too much.
    """
    urls = {"journal": (journal, "nats://…"), "catalog": (catalog, "postgresql://…"), "blocks": (blocks, "s3://…")}
    shared = [name for name in ("journal", "catalog") if urls[name][0]]
    missing = [f"{name} = {url}" for name, (value, url) in urls.items() if not value]
    if shared and missing:
        named = " and ".join(shared)
        raise SettingsError(
            f"{named} {'is' if len(shared) == 1 else 'are'} for nodes that share what they store, and they must share "
            f"all of it: give also {' and '.join(missing)} (docs/howto/scale-out.md); or leave {named} empty, for one "
            "machine"
        )


def _server(text: str, journal: str) -> str:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, 0
    if not host or parts.path or parts.query:
        raise SettingsError(f"journal {_HINT}, not `{journal}`")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def monitor_urls(text: str) -> tuple[str, ...]:
    """What the setting `nats_monitors` names. Raises: SettingsError."""
    urls = tuple(url.strip().rstrip("/") for url in text.split(",") if url.strip())
    for url in urls:
        if not url.startswith(("http://", "https://")) or not urlsplit(url).hostname:
            raise SettingsError(f"nats_monitors must be URLs such as http://host:8222, not `{url}`")
    return urls
