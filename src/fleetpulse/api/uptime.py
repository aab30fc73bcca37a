"""Questions about uptime, availability and status, of one device and of the fleet."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from litestar import Response, get
from numpy.typing import NDArray

from fleetpulse.aggregate.status import timeline
from fleetpulse.aggregate.uptime import percent, slot_minutes
from fleetpulse.api.metrics import read_labels, within_retention
from fleetpulse.api.parameters import WINDOW, answer, device_number, read_query, ready, truth, window_of
from fleetpulse.api.problems import AnyRequest
from fleetpulse.errors import OutOfRange
from fleetpulse.model.metric import UPLOAD_TIME
from fleetpulse.model.status import STATUSES
from fleetpulse.model.uptime import FORMULA
from fleetpulse.notation.go_duration import format_duration
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from fleetpulse.query.fleet import FleetUptime, FleetView, fleet_status, fleet_uptime
from fleetpulse.query.metrics import DeviceSelection, MetricResult, Samples, find
from fleetpulse.query.missing import Missing, note_missing_day
from fleetpulse.query.uptime import (
    UNKNOWN_AVAILABILITY,
    UNKNOWN_OBSERVED,
    DeviceView,
    availability_figures,
    device_slots,
    explained,
    read_gaps,
    transitions,
    uptime_figures,
)
from fleetpulse.query.window import Window

LISTED_MAX = 10_000
WORST = 10
GROUPS_MAX = 10_000
STEPS_MAX = 400
"""Steps of a series of the whole fleet, each of which is a question of its own: a year of days, a day of five minutes."""


@get("/api/v1/devices/{device_id:str}/uptime")
async def get_uptime(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Uptime and availability of a device over a window, with numerator and denominator; `explain=true` lists the intervals."""
    device_number(node, device_id)
    asked = read_query(request, "explain", *WINDOW)
    window, is_explained = window_of(asked, node, default="24h"), truth(asked, "explain")

    def question(view: DeviceView) -> "_Answer":
        missing: Missing = []
        gaps = read_gaps(view, start_ns=window.start_ns, on_damage=partial(note_missing_day, missing))
        slots = device_slots(view, window, gaps, is_explained=is_explained)
        stretches = timeline(gaps, view.excluded, start_ns=window.start_ns, end_ns=window.end_ns)
        said: dict[str, Any] = {
            "device_id": device_id,
            **window.described(),
            "formula": FORMULA,
            "slot_s": slot_minutes(view.policy.interval_s) * 60,
            **uptime_figures(slots.counts.sum(axis=0)),
            **availability_figures(stretches, view.excluded),
        }
        if missing:
            said |= UNKNOWN_AVAILABILITY | UNKNOWN_OBSERVED
        if window.step_ns is not None:
            said["series"] = [
                {"at": format_rfc3339(window.bucket_start_ns(bucket)), **uptime_figures(slots.counts[bucket])}
                for bucket in range(window.buckets)
            ]
        if is_explained:
            said["intervals"], said["capped"] = explained(slots, limit=LISTED_MAX)
        return _Answer(said, missing + [span for span in slots.missing if span not in missing])

    found = await node.questions.device(device_id, question, start_ns=window.start_ns)
    return answer({**found.said, "missing": found.missing})


class _Answer:
    """What is said, and what is missing from it."""

    def __init__(self, said: dict[str, Any], missing: list[dict[str, str]]) -> None:
        self.said = said
        self.missing = missing


@get("/api/v1/devices/{device_id:str}/transitions")
async def get_transitions(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Every change of a device's status in a window, oldest first; `more_from` says where to go on where they are too many."""
    device_number(node, device_id)
    window = window_of(read_query(request, "window", "from", "to"), node, default="24h")

    def question(view: DeviceView) -> _Answer:
        missing: Missing = []
        gaps = read_gaps(view, start_ns=window.start_ns, on_damage=partial(note_missing_day, missing))
        stretches = timeline(gaps, view.excluded, start_ns=window.start_ns, end_ns=window.end_ns)
        changes, has_more = transitions(stretches, limit=LISTED_MAX, after_ns=window.start_ns)
        said: dict[str, Any] = {
            "device_id": device_id,
            **window.described(),
            "status_before": STATUSES[stretches[0].status],
        }
        return _Answer({**said, "transitions": changes, "more_from": changes[-1]["at"] if has_more else None}, missing)

    found = await node.questions.device(device_id, question, start_ns=window.start_ns)
    return answer({**found.said, "missing": found.missing})


@get("/api/v1/fleet/uptime")
async def get_fleet_uptime(request: AnyRequest, node: Service) -> Response[bytes]:
    """Uptime and availability by the values of a label, or of all devices together; `step=` gives a series."""
    ready(node)
    asked = read_query(request, "group_by", *WINDOW, repeated=("label",))
    window, by, labels = window_of(asked, node, default="24h"), asked.get("group_by", ""), read_labels(request)
    if window.buckets > STEPS_MAX:
        raise OutOfRange(
            f"{window.buckets} steps are more than {STEPS_MAX} for the whole fleet: ask for a longer step",
            reason="cells",
        )
    whole = await _grouped(node, window, by, labels)
    if window.step_ns is not None:
        if window.buckets * max(1, len(whole.names)) > node.questions.limits.cells_max:
            raise OutOfRange(
                f"more than {node.questions.limits.cells_max} figures (cells_max): ask for a longer step",
                reason="cells",
            )
        for bucket in range(window.buckets):
            start_ns = window.bucket_start_ns(bucket)
            end_ns = min(window.end_ns, window.origin_ns + (bucket + 1) * window.step_ns)
            part = await _grouped(node, Window(start_ns, end_ns), by, labels)
            for group in whole.said:
                found = part.by_name.get(group["group"])
                group.setdefault("series", []).append(
                    {"at": format_rfc3339(start_ns), **({} if found is None else _only(found))}
                )
    return answer(
        {
            **window.described(),
            "formula": FORMULA,
            "group_by": by or None,
            "fleet": whole.fleet,
            "groups": whole.said,
            "missing": whole.missing,
        }
    )


class _Groups:
    """The figures of groups, and of all of them together."""

    def __init__(self, said: list[dict[str, Any]], fleet: dict[str, Any], missing: list[dict[str, str]]) -> None:
        self.said = said
        self.fleet = fleet
        self.missing = missing
        self.names = [group["group"] for group in said]
        self.by_name = {group["group"]: group for group in said}


def _only(group: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("group", "devices", "series")}


async def _grouped(node: Service, window: Window, by: str, labels: tuple[tuple[str, str], ...]) -> _Groups:
    roster = node.registry.roster
    chosen = roster.with_labels(labels)
    codes, names = roster.groups(by) if by else (np.zeros(len(chosen), np.int32), [""])
    used = np.unique(codes[chosen])
    if len(used) > GROUPS_MAX:
        raise OutOfRange(
            f"label {by[:100]} has {len(used)} values here, more than {GROUPS_MAX}: group by another, or filter by `label`",
            reason="groups",
        )
    renumbered = np.zeros(len(names), np.int32)
    renumbered[used] = np.arange(len(used))
    codes, names = renumbered[codes], [names[code] for code in used.tolist()]

    def question(view: FleetView) -> _Groups:
        found = fleet_uptime(view, start_ns=window.start_ns, end_ns=window.end_ns)
        members = codes[: view.count]
        is_asked = chosen[: view.count]
        sizes = np.bincount(members[is_asked], minlength=len(names))
        sums = [_sums(column[: len(members)], members, is_asked, len(names)) for column in _columns(found)]
        groups = [
            {
                "group": names[code],
                "devices": int(sizes[code]),
                **_figures([int(column[code]) for column in sums], found),
            }
            for code in np.flatnonzero(sizes).tolist()
        ]
        groups.sort(key=lambda group: str(group["group"]))
        fleet = {"devices": int(sizes.sum()), **_figures([int(column.sum()) for column in sums], found)}
        return _Groups(groups, fleet, found.missing)

    return await node.questions.fleet(question, start_ns=window.start_ns)


def _columns(found: FleetUptime) -> tuple[NDArray[np.int64], ...]:
    # Time is summed in microseconds: of a million devices over years, nanoseconds would not fit.
    return found.present, found.expected, found.down_ns // 1000, found.accountable_ns // 1000


def _sums(
    column: NDArray[np.int64], codes: NDArray[np.int32], is_asked: NDArray[np.bool_], count: int
) -> NDArray[np.int64]:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, codes[is_asked], column[is_asked])
    return sums


def _figures(sums: Sequence[int], found: FleetUptime) -> dict[str, Any]:
    """The figures out of the sums of `_columns`."""
    present, expected, down_us, accountable_us = sums
    uptime = {"uptime": percent(present, expected), "present": present, "expected": expected}
    if not found.is_available:
        return {**uptime, **UNKNOWN_AVAILABILITY}
    return {
        **uptime,
        "availability": percent(accountable_us - down_us, accountable_us),
        "down_s": down_us / 1e6,
        "accountable_s": accountable_us / 1e6,
    }


@get("/api/v1/fleet/stats")
async def get_fleet_stats(request: AnyRequest, node: Service) -> Response[bytes]:
    """The fleet at a glance: devices by status, uptime, upload time, and the ten devices that were there least."""
    ready(node)
    asked = read_query(request, "window", "from", "to", repeated=("label",))
    window, labels = window_of(asked, node, default="24h"), read_labels(request)
    chosen = node.registry.roster.with_labels(labels)

    def question(view: FleetView) -> _Answer:
        codes, _ = fleet_status(view)
        asked_for = chosen[: view.count]
        by_status = np.bincount(codes[: len(asked_for)][asked_for], minlength=len(STATUSES)).tolist()
        found = fleet_uptime(view, start_ns=window.start_ns, end_ns=window.end_ns)
        totals = [int(column[: len(asked_for)][asked_for].sum()) for column in _columns(found)]
        numbers = np.flatnonzero(asked_for & (found.expected[: len(asked_for)] > 0))
        ratio = found.present[numbers] / found.expected[numbers]
        worst = numbers[np.lexsort((numbers, ratio))[:WORST]].tolist()
        said = {
            "devices": {"total": int(asked_for.sum()), "by_status": dict(zip(STATUSES, by_status, strict=True))},
            "uptime": _figures(totals, found),
            "worst": [(number, int(found.present[number]), int(found.expected[number])) for number in worst],
        }
        return _Answer(said, found.missing)

    found = await node.questions.fleet(question, start_ns=window.start_ns)
    records = await node.registry.records_of([number for number, _, _ in found.said["worst"]])
    found.said["worst"] = [
        {"id": record.device.id, "uptime": percent(present, expected), "present": present, "expected": expected}
        for record, (_, present, expected) in zip(records, found.said["worst"], strict=True)
    ]
    upload, missing = await _upload_time(node, window, chosen)
    return answer(
        {
            **window.described(),
            "formula": FORMULA,
            **found.said,
            "upload_time": upload,
            "missing": [*found.missing, *missing],
        }
    )


async def _upload_time(
    node: Service, window: Window, chosen: NDArray[np.bool_]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    whom = DeviceSelection(None, np.where(chosen, 0, -1).astype(np.int32), 1)
    metric = node.metric_definitions.metrics[UPLOAD_TIME]
    kept = within_retention(window, metric, node.clock.now_ns())
    said: dict[str, Any] = {"unit": "ns"}
    missing: list[dict[str, str]] = []
    for aggregation in ("avg", "p50", "p95", "p99"):

        def question(samples: Samples, aggregation: str = aggregation) -> MetricResult:
            # The average is the floor of the exact sum over the count, as everywhere for this metric.
            asked = "sum" if aggregation == "avg" else aggregation
            return find(samples, number=UPLOAD_TIME, metric=metric, aggregation=asked, whom=whom, window=kept)

        found = await node.questions.samples(question, is_quick=False)
        value = found.values[0]
        if value is not None and aggregation == "avg":
            value = int(value) // found.counts[0]
        said[aggregation] = value
        said[f"{aggregation}_text"] = None if value is None else format_duration(int(value))
        said["count"] = found.counts[0]
        missing = found.missing
    return said, missing
