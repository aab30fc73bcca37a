"""Messages for tests."""

from typing import Any

from fleetpulse.model.message import Cause, Message, MessageAlert

SECOND = 1_000_000_000
AT = 1_764_268_800 * SECOND  # 2025-11-27T18:40:00Z


def alert(number: int = 12, subject: str = "pump-7", **more: Any) -> MessageAlert:
    facts: dict[str, Any] = {
        "rule": "offline",
        "severity": "critical",
        "state": "firing",
        "since_ns": AT - 300 * SECOND,
    }
    return MessageAlert(**{"number": number, "subject": subject, "fired_at_ns": AT, **facts, **more})


def message(*alerts: MessageAlert, **more: Any) -> Message:
    facts: dict[str, Any] = {"key": "k1", "receiver": "hook", "kind": "firing", "at_ns": AT, "severity": "critical"}
    return Message(alerts=alerts, **{**facts, "firing": len(alerts), **more})


SITE_DOWN = message(
    alert(1, "pump-1", labels={"site": "paris"}, last_received_ns=AT - 360 * SECOND),
    alert(2, "pump-2", labels={"site": "paris"}),
    firing=12,
    key="site",
    omitted=10,
    group={"site": "paris"},
    cause=Cause(
        incident=3, label="site", value="paris", down=12, devices=14,
        explanation="12 of the 14 devices with site=paris (86 %) went down within 60 s.",
    ),
)  # fmt: skip
