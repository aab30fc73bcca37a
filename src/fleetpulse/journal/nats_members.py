"""Whether every NATS server that can confirm an entry syncs before it does, and is new enough: asked of each process.

An ack of a stream comes when a majority of the servers that hold it has stored the entry, so each of them must sync.
What a server says of itself holds as long as its process lives, since a reload changes nothing of it, and each process
has an id of its own. So a process is asked once whether it syncs (`/varz`, `sync_always`), and all servers are asked
again and again which processes there are (`/routez`: itself, and those that it is connected to).

    a process that was asked, and syncs        may confirm, also where it answers nothing now, as one that stands still
    a process that is seen and was not asked   counts as one that does not sync
    a server of which no process is seen       can confirm nothing, since the leader is connected to no such process:
                                               where the leader has answered, or all others, which are a majority
"""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

FLOOR_TEXT = "2.12.15, or 2.14.5 and later"
ASK_S = 1.5
NOT_ANSWERED = (OSError, http.client.HTTPException, ValueError, KeyError, AttributeError, TypeError)
"""What comes of asking something that does not answer as a server of NATS does."""
TODO = (
    "Set `sync_interval: always` in the `jetstream` block of every server, name the monitoring URLs of all with "
    "--nats-monitors, or accept the risk with --allow-unsynced-journal"
)


@dataclass(frozen=True, slots=True)
class Member:
    """What one process of a server says of itself."""

    name: str
    server_id: str
    version: str
    is_synced: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What one server says of the processes that are there."""

    name: str
    server_id: str
    peers: tuple[tuple[str, str], ...]
    """Names and ids of those that it is connected to."""


def is_new_enough(version: str) -> bool:
    """Whether a server has the fixes that acknowledged events need: 2.12.15, 2.14.5, or later."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor, patch = (int(part) for part in found.groups())
    return (major, minor, patch) >= (2, 14, 5) or ((major, minor) == (2, 12) and patch >= 15)


def look(url: str, known: Mapping[str, Member], tls: ssl.SSLContext | None) -> tuple[Sight, Member]:
    """What the server behind a monitoring URL sees, and what it says of itself, unless that is known by its id.

    Raises: NOT_ANSWERED: it cannot be asked.
    """
    routes = _get(f"{url}/routez", tls)
    peers = {(str(route.get("remote_name", "")), str(route["remote_id"])) for route in routes.get("routes") or []}
    sight = Sight(str(routes["server_name"]), str(routes["server_id"]), tuple(sorted(peers)))
    member = known.get(sight.server_id)
    if member is None:
        status = _get(f"{url}/varz", tls)
        config = status.get("jetstream", {}).get("config", {})
        member = Member(
            status["server_name"], status["server_id"], status["version"], config.get("sync_always") is True
        )
    if member.server_id != sight.server_id:
        raise ValueError("it was restarted meanwhile")
    return sight, member


def _get(url: str, tls: ssl.SSLContext | None) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=ASK_S, context=tls) as answer:  # noqa: S310  # a setting, http or https
        return dict(msgspec.json.decode(answer.read(1 << 20)))


def holders(info: dict[str, Any], connected: str) -> tuple[str, frozenset[str]]:
    """The name of the server that leads a stream, and of all that hold it.

    Args: info: JetStream's answer about the stream. connected: the name of the server that gave it, which holds the
        stream where there is no cluster.
    """
    cluster = info.get("cluster")
    if not cluster:
        return connected, frozenset({connected})
    names = [cluster.get("leader"), *(replica["name"] for replica in cluster.get("replicas") or [])]
    return str(names[0] or ""), frozenset(str(name) for name in names if name)


def processes(sights: Iterable[Sight], connected: tuple[str, str]) -> dict[str, set[str]]:
    """By name of a server, the ids of the processes of this name that are seen. `connected`: name and id of ours."""
    found: dict[str, set[str]] = {}
    for name, server_id in [
        connected,
        *(pair for sight in sights for pair in ((sight.name, sight.server_id), *sight.peers)),
    ]:
        found.setdefault(name, set()).add(server_id)
    return found


def unsynced_text(
    names: Iterable[str],
    seen: Mapping[str, set[str]],
    known: Mapping[str, Member],
    *,
    answered: Iterable[str],
    leader: str,
    silent: Mapping[str, str],
) -> str:
    """Why acknowledged events may be lost with the power, as a sentence; empty where they cannot.

    Args: names: of the servers that hold the stream. seen: ids of processes by name. known: what was asked of
        processes, by id. answered: the names of the servers that have answered now. leader: of the stream; empty where
        it is not known. silent: why other servers have not answered.
    """
    every, heard = sorted(set(names)), set(answered)
    unsynced = [name for name in every if any(i in known and not known[i].is_synced for i in seen.get(name, ()))]
    unknown = [name for name in every if any(i not in known for i in seen.get(name, ()))]
    unseen = [name for name in every if not seen.get(name)]
    are_others_heard = all(name in heard for name in every if name not in unseen) and len(unseen) * 2 < len(every)
    if leader not in heard and not are_others_heard:
        unknown += unseen
    reasons = []
    if unsynced:
        reasons.append(f"{', '.join(unsynced)} acknowledge before they sync")
    if unknown:
        others = [f"the monitoring URL leads to another server of the name {name}" for name in unknown if name in heard]
        because = "; ".join([*others, *silent.values()]) or "no URL of nats_monitors leads to them"
        reasons.append(f"{', '.join(sorted(unknown))} cannot be asked whether they sync ({because})")
    return f"NATS may lose acknowledged events when power fails: {'; '.join(reasons)}" if reasons else ""


def outdated_text(versions: dict[str, str]) -> str:
    """Which servers are too old, as a sentence; empty where none is. `versions`: by name."""
    old = {name: version for name, version in versions.items() if not is_new_enough(version)}
    if not old:
        return ""
    listed = ", ".join(f"{name} ({version})" for name, version in sorted(old.items()))
    return (
        f"NATS servers {listed} are older than fleetpulse trusts: releases before {FLOOR_TEXT} can lose acknowledged "
        "events. Upgrade them"
    )
