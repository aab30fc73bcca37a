"""The stream that holds the journal: how it is made, and whether one that exists is one that may be used."""

from __future__ import annotations

from typing import Any

from fleetpulse.errors import StorageFailed
from fleetpulse.journal.nats_link import ApiError, NatsLink

NO_STREAM, IN_USE = 10059, 10058
"""Errors of JetStream: there is no such stream; one of this name exists, made with another configuration."""
KIND, IDENTITY = "fleetpulse", "fleetpulse_identity"
"""What the metadata of a stream say: that it is a journal, and to which data it belongs."""
_FIXED: dict[str, Any] = {
    "retention": "limits",
    "storage": "file",
    "discard": "new",
    "max_msgs": -1,
    "max_bytes": -1,
    "max_age": 0,
    "max_msgs_per_subject": -1,
    "max_msg_size": -1,
    "deny_delete": True,
    "allow_direct": True,
}
"""What every journal has. Nothing is removed but by a purge up to a position, and a full disk refuses new entries."""
_NEVER = (
    "no_ack",
    "sealed",
    "deny_purge",
    "mirror",
    "sources",
    "subject_transform",
    "allow_rollup_hdrs",
    "allow_msg_ttl",
)


def wanted(stream: str, replicas: int) -> dict[str, Any]:
    """The configuration of a new stream."""
    return {
        **_FIXED,
        "name": stream,
        "description": "fleetpulse: acknowledged events that no checkpoint covers yet",
        "subjects": [f"{stream}.entries.>"],
        "num_replicas": replicas,
        "metadata": {KIND: "journal"},
    }


async def open_stream(link: NatsLink, stream: str, *, replicas: int, end_s: float) -> dict[str, Any]:
    """JetStream's answer about the stream, which is made where there is none.

    Raises: StorageFailed: there is one that may not be used. Away: no answer. ApiError: it cannot be made.
    """
    while True:
        try:
            info = await link.api(f"STREAM.INFO.{stream}", end_s=end_s)
            break
        except ApiError as error:
            if error.code != NO_STREAM:
                raise
        try:
            await link.api(f"STREAM.CREATE.{stream}", wanted(stream, replicas), end_s=end_s, answer_s=10)
        except ApiError as error:
            if error.code != IN_USE:  # another node made it first
                raise
    found = differences(info["config"], wanted(stream, replicas))
    if found:
        raise StorageFailed(
            f"stream {stream} of NATS cannot be a journal, since its configuration differs: {'; '.join(found)}. Name "
            "another stream in the setting journal, or, if it holds nothing, remove it and let fleetpulse make it"
        )
    return info


def differences(config: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """In what a stream differs from a journal, in words."""
    found = []
    if config.get("metadata", {}).get(KIND) != "journal":
        found.append("it was not made by fleetpulse")
    if config.get("persist_mode") == "async":
        found.append("persist_mode is async, so that it acknowledges before it syncs")
    for name in (*_FIXED, "subjects"):
        value = config.get(name, type(expected[name])())
        if value != expected[name]:
            found.append(f"{name} is {value}, not {expected[name]}")
    found += [f"{name} is set" for name in _NEVER if config.get(name)]
    if config.get("num_replicas", 1) < expected["num_replicas"]:
        replicas = config.get("num_replicas", 1)
        found.append(f"it is on {replicas} servers, and journal_replicas says {expected['num_replicas']}")
    return found


def first_position(state: dict[str, Any]) -> int:
    """The position of the oldest entry that is there; one after the last where none is."""
    return max(1, int(state["first_seq"]), 1 if state["messages"] else int(state["last_seq"]) + 1)


def identity_of(info: dict[str, Any]) -> str | None:
    """To which data the stream belongs; None where it was never recorded."""
    identity = info["config"].get("metadata", {}).get(IDENTITY)
    return None if identity is None else str(identity)
