"""Whether every NATS server that holds the stream syncs before it acknowledges, and is new enough: asked of each.

An ack of a stream comes when a majority of its servers has stored the entry, so each of them must sync. The servers
say so themselves, on their monitoring ports (`/varz`, `sync_always`). One that is away can acknowledge nothing, and is
asked when it is back; one that takes part and cannot be asked counts as one that does not sync.
"""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

FLOOR_TEXT = "2.12.15, or 2.14.5 and later"
ASK_S = 1.5
AWAY_S = 4.0
"""A server that the leader has not heard for so long takes no part: it hears from each every second."""
TODO = (
    "Set `sync_interval: always` in the `jetstream` block of every server, name the monitoring URLs of all with "
    "--nats-monitors, or accept the risk with --allow-unsynced-journal"
)


@dataclass(frozen=True, slots=True)
class Member:
    """What one server says of itself."""

    name: str
    server_id: str
    version: str
    is_synced: bool


def is_new_enough(version: str) -> bool:
    """Whether a server has the fixes that acknowledged events need: 2.12.15, 2.14.5, or later."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor, patch = (int(part) for part in found.groups())
    return (major, minor, patch) >= (2, 14, 5) or ((major, minor) == (2, 12) and patch >= 15)


async def ask_members(urls: Iterable[str]) -> tuple[dict[str, Member], dict[str, str]]:
    """What the servers behind these monitoring URLs say, by name; and by URL why one could not be asked."""
    every = tuple(urls)
    answers = await asyncio.gather(*(asyncio.to_thread(_ask, url) for url in every))
    found = {answer.name: answer for answer in answers if isinstance(answer, Member)}
    return found, {url: answer for url, answer in zip(every, answers, strict=True) if isinstance(answer, str)}


def _ask(url: str) -> Member | str:
    try:
        with urllib.request.urlopen(f"{url}/varz", timeout=ASK_S) as answer:  # noqa: S310  # a setting, http or https
            status = msgspec.json.decode(answer.read(1 << 20))
        config = status.get("jetstream", {}).get("config", {})
        return Member(status["server_name"], status["server_id"], status["version"], config.get("sync_always") is True)
    except (OSError, urllib.error.URLError, ValueError, KeyError, AttributeError, msgspec.DecodeError) as error:
        return f"{url}: {error}"


def participants(info: dict[str, Any], connected: str) -> dict[str, bool]:
    """Of the servers that hold a stream, by name, whether each takes part now.

    Args: info: JetStream's answer about the stream. connected: the name of the server that gave it, which holds the
        stream where there is no cluster.
    """
    cluster = info.get("cluster")
    if not cluster:
        return {connected: True}
    found = {cluster["leader"]: True} if cluster.get("leader") else {}
    for replica in cluster.get("replicas") or []:
        quiet_s = replica.get("active", 0) / 1e9  # 0: a leader that is new has not heard it at all
        is_heard = replica.get("current", False) or 0 < quiet_s < AWAY_S
        found[replica["name"]] = is_heard and not replica.get("offline", False)
    return found


def unsynced_text(parts: dict[str, bool], members: dict[str, Member], silent: dict[str, str]) -> str:
    """Why acknowledged events may be lost with the power, as a sentence; empty where they cannot."""
    unknown = sorted(name for name, takes_part in parts.items() if takes_part and name not in members)
    unsynced = sorted(name for name in parts if name in members and not members[name].is_synced)
    if not (unknown or unsynced):
        return ""
    reasons = []
    if unsynced:
        reasons.append(f"{', '.join(unsynced)} acknowledge before they sync")
    if unknown:
        because = "; ".join(silent.values()) if silent else "no URL of nats_monitors leads to them"
        reasons.append(f"{', '.join(unknown)} cannot be asked whether they sync ({because})")
    return f"NATS may lose acknowledged events when power fails: {'; '.join(reasons)}"


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
