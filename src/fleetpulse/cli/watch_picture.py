"""What `fleetpulse watch` shows: a line for each event, or a picture that changes with them."""

from collections import deque
from typing import Any

from msgspec.json import decode

from fleetpulse.cli.event_source import FeedEvent
from fleetpulse.cli.tables import Part, left, right, status_cell, table_of, time_cell
from fleetpulse.cli.terminal import clean
from fleetpulse.notation.count import count_text

CHANGES_KEPT = 50
ROWS_LEAST, ROWS_BESIDE = 3, 12
"""Rows of the changes that are shown at least; and those of the screen that the rest takes."""
ALERTS_SHOWN = 10
_NONE = "none"


def line_of(event: FeedEvent) -> str:
    """An event as a line of text; empty: it is not worth one."""
    body: dict[str, Any] = decode(event.data)
    at = time_cell(body.get("at"))
    match event.kind:
        case "transition":
            return f"{at} {clean(body['device_id'])} {body['from'] or _NONE} -> {body['to'] or _NONE}"
        case "alert":
            return f"{at} alert {body['number']} {_alert_text(body)}"
        case "counts":
            return f"{at} {_counts_text(body)}"
        case "omitted":
            return f"{at} {_omitted_text(body)}"
        case "missed":
            return f"{_missed_text(body)}: what was shown may be wrong; {body['todo']}"
        case "end":
            return f"the service ends the stream ({body['reason']})"
        case _:
            return ""


def _alert_text(body: dict[str, Any]) -> str:
    why = f" ({body['resolution']})" if body.get("resolution") else ""
    return f"{body['severity']} {clean(body['rule'])} {clean(body['subject'])} {body['state']}{why}"


def _counts_text(body: dict[str, Any]) -> str:
    by_status = ", ".join(f"{count} {status}" for status, count in body["by_status"].items() if count)
    return count_text(body["total"], "device") + (f": {by_status}" if by_status else "")


def _omitted_text(body: dict[str, Any]) -> str:
    if body["what"] == "alert":
        return f"and {count_text(body['events'], 'alert')} more"
    changes = ", ".join(
        f"{one['devices']} {one['from'] or _NONE} -> {one['to'] or _NONE}" for one in body.get("changes", ())
    )
    labels = ", ".join(f"{clean(one['label'])} {one['devices']}" for one in body.get("labels", ()))
    return f"and {count_text(body['events'], 'device')} more: {changes}" + (f" (of these {labels})" if labels else "")


def _missed_text(body: dict[str, Any]) -> str:
    how_many = "events" if body["events"] is None else count_text(body["events"], "event")
    return f"missed {how_many} ({body['reason']})"


class Picture:
    """What is known of the fleet from the events so far. `is_unread`: which alerts fire must be read first."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._counts: dict[str, Any] | None = None
        self._changes: deque[tuple[str, str, str]] = deque(maxlen=CHANGES_KEPT)
        """The latest ones first: time, subject, and what became of it."""
        self._alerts: dict[int, dict[str, Any]] | None = None
        """Those that fire, by number; None: they cannot be read."""
        self._trouble = ""
        self.is_unread = True

    def take(self, event: FeedEvent) -> None:
        """Take an event in."""
        if event.kind == "lost":
            self._trouble = f"the connection has ended, trying again: {clean(event.data.decode())}"
            return
        if event.kind == "back":
            self._trouble = ""
            return
        body: dict[str, Any] = decode(event.data)
        at = time_cell(body.get("at"))
        match event.kind:
            case "counts":
                self._counts = body
            case "transition":
                self._changes.appendleft((at, body["device_id"], f"{body['from'] or _NONE} -> {body['to'] or _NONE}"))
            case "alert":
                self._changes.appendleft((at, body["subject"], f"{clean(body['rule'])} {body['state']}"))
                if self._alerts is not None:
                    self._alerts.pop(body["number"], None)
                    if body["state"] == "firing":
                        self._alerts[body["number"]] = body
            case "omitted":
                self._changes.appendleft((at, "", _omitted_text(body)))
                self.is_unread = self.is_unread or body["what"] == "alert"
            case "missed":
                self._changes.appendleft(("", "", f"{_missed_text(body)}; counts and alerts are read anew"))
                self.is_unread = True

    def take_alerts(self, alerts: list[dict[str, Any]] | None) -> None:
        """Take in which alerts fire, the newest first."""
        self._alerts = None if alerts is None else {one["number"]: one for one in reversed(alerts)}
        self.is_unread = False

    def drawn(self, *, rows: int) -> Any:
        """The picture, for a terminal with so many rows."""
        from rich.console import Group
        from rich.text import Text

        parts: list[Any] = [Text(self._trouble or f"{self._url}, Ctrl-C ends", style="red" if self._trouble else "dim")]
        if self._counts is not None:
            parts.append(_counts_line(self._counts))
        alerts = list((self._alerts or {}).values())[::-1]
        if alerts:
            parts.append(_alert_table(alerts))
        height = max(ROWS_LEAST, rows - ROWS_BESIDE - (min(len(alerts), ALERTS_SHOWN) + 3 if alerts else 0))
        if self._changes:
            latest = [[at, clean(subject), what] for at, subject, what in list(self._changes)[:height]]
            parts.append(table_of([left("changed"), left("device"), left("what")], latest))
        return Group(*parts)


def _counts_line(counts: dict[str, Any]) -> Any:
    """How many devices there are, each status in its colour."""
    from rich.text import Text

    line = Text(f"{time_cell(counts['at'])}  {count_text(counts['total'], 'device')}")
    for status, count in counts["by_status"].items():
        if count:
            line.append("   ").append_text(status_cell(status)).append(f" {count}")
    return line


def _alert_table(alerts: list[dict[str, Any]]) -> Part:
    rows = [
        [str(one["number"]), one["severity"], clean(one["rule"]), clean(one["subject"]), time_cell(one["since"])]
        for one in alerts[:ALERTS_SHOWN]
    ]
    more = f"alert (and {len(alerts) - ALERTS_SHOWN} more)" if len(alerts) > ALERTS_SHOWN else "alert"
    return table_of([right(more), left("severity"), left("rule"), left("subject"), left("since")], rows)
