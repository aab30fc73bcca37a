"""Devices as people manage them: one by one, by filter, as CSV.

What is declared is read, changed and written back: `changing` is held meanwhile, or one of two changes at a time would be lost, and a
device that is being deleted would come back.
"""

import asyncio
import csv
import io
from dataclasses import replace
from typing import Any

import msgspec
from litestar import Response, delete, get, patch, post

from fleetpulse.aggregate.status import NEVER_NS
from fleetpulse.api.metrics import read_labels
from fleetpulse.api.parameters import answer, device_number, read_query, ready, truth
from fleetpulse.api.problems import AnyRequest
from fleetpulse.api.reports import json_body
from fleetpulse.catalog.catalog import DeviceRecord
from fleetpulse.errors import Conflict, Malformed, OutOfRange, TooLarge, UnsupportedMedia
from fleetpulse.ingest.decode import malformed
from fleetpulse.ingest.devices_file import FIELDS, DeviceLine, read_lines
from fleetpulse.model.device import Device, check_device
from fleetpulse.model.maintenance import TIME_HIGHEST_NS
from fleetpulse.model.status import STATUSES
from fleetpulse.model.units import NS_PER_DAY, NS_PER_S
from fleetpulse.notation.csv_cell import safe_cell
from fleetpulse.notation.duration import format_seconds, parse_seconds
from fleetpulse.notation.timestamp import EXPECTED, format_rfc3339, parse_rfc3339_ns
from fleetpulse.pipeline.service import Service
from fleetpulse.query.devices import SORTS, Filter, Order, list_devices, sure_matches

LIMIT_DEFAULT, LIMIT_HIGHEST = 100, 1_000
UPTIME_WINDOW = "24h"
FILTERS = ("status", "text", "seen_before", "seen_after", "uptime_below", "uptime_window")
VERDICTS_LISTED = 100
HISTORY_STAYS = (
    "its presence and status history stays, its metrics until their retention; "
    "it can be asked for again once a device of this id is declared"
)


class NewDevice(msgspec.Struct, forbid_unknown_fields=True):
    """A device to be declared. `interval` and `grace` are durations such as 5m."""

    id: str
    labels: dict[str, str] = {}
    interval: str | None = None
    grace: str | None = None
    note: str = ""


class DeviceChange(msgspec.Struct, forbid_unknown_fields=True):
    """What changes of a device; a label of null is taken away, an interval or grace of null is the service's own again."""

    labels: dict[str, str | None] = {}
    interval: str | msgspec.UnsetType | None = msgspec.UNSET
    grace: str | msgspec.UnsetType | None = msgspec.UNSET
    note: str | msgspec.UnsetType = msgspec.UNSET


class LabelChange(msgspec.Struct, forbid_unknown_fields=True):
    """Labels to set, or with null to take away, of all devices that match."""

    labels: dict[str, str | None]


class PauseBody(msgspec.Struct, forbid_unknown_fields=True):
    """Until when, RFC 3339, or for how long; neither: until it is resumed."""

    until: str | None = None
    duration: str | None = None


def read_filter(request: AnyRequest, asked: dict[str, str], node: Service) -> Filter:
    """What FILTERS and `label` say. Raises: Malformed; OutOfRange."""
    statuses = frozenset(name for name in asked.get("status", "").split(",") if name)
    if not statuses <= set(STATUSES):
        raise OutOfRange(
            f"status must be of {', '.join(STATUSES)}, not {', '.join(sorted(statuses - set(STATUSES)))[:100]}",
            reason="status",
        )
    below = asked.get("uptime_below")
    try:
        uptime_below = None if below is None else float(below)
    except ValueError as error:
        raise Malformed(f"`uptime_below` must be a percentage, not `{(below or '')[:50]}`") from error
    if uptime_below is not None and not 0 <= uptime_below <= 100:
        raise OutOfRange("`uptime_below` must be 0 to 100 per cent", reason="uptime_below")
    window_ns, days_max = (
        _seconds("uptime_window", asked.get("uptime_window", UPTIME_WINDOW)) * NS_PER_S,
        node.questions.limits.window_days_max,
    )
    if not 0 < window_ns <= min(days_max * NS_PER_DAY, node.clock.now_ns()):
        raise OutOfRange(
            f"`uptime_window` must be 1s to {days_max}d (window_days_max), and begin after 1970", reason="window"
        )
    return Filter(
        statuses=statuses,
        labels=read_labels(request),
        text=asked.get("text", ""),
        seen_before_ns=_moment(asked, "seen_before"),
        seen_after_ns=_moment(asked, "seen_after"),
        uptime_below=uptime_below,
        uptime_window_ns=window_ns,
    )


def _moment(asked: dict[str, str], name: str) -> int | None:
    if name not in asked:
        return None
    try:
        return parse_rfc3339_ns(asked[name].replace(" ", "+"))
    except ValueError as error:
        raise Malformed(f"`{name}` is not {EXPECTED}") from error


def _seconds(name: str, text: str) -> int:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise Malformed(f"{name}: {error}") from error


@get("/api/v1/devices")
async def get_devices(request: AnyRequest, node: Service) -> Response[bytes]:
    """A page of devices; `next` is the cursor of the following one, null where there is none."""
    ready(node)
    asked = read_query(request, *FILTERS, "sort", "limit", "cursor", repeated=("label",))
    chosen = read_filter(request, asked, node)
    by = asked.get("sort", "id")
    order = Order(by.removeprefix("-"), by.startswith("-"))
    if order.by not in SORTS:
        raise OutOfRange(
            f"sort must be one of {', '.join(SORTS)}, with - before it for the greatest first; not `{by[:50]}`",
            reason="sort",
        )
    limit = asked.get("limit", str(LIMIT_DEFAULT))
    if not (limit.isdigit() and limit.isascii() and len(limit) <= 9) or not 1 <= int(limit) <= LIMIT_HIGHEST:
        raise OutOfRange(f"limit must be 1 to {LIMIT_HIGHEST}, not `{limit[:50]}`", reason="limit")
    start_ns = node.clock.now_ns() - chosen.uptime_window_ns
    page = await node.questions.devices(
        lambda seen: list_devices(*seen, chosen, order, limit=int(limit), cursor=asked.get("cursor")), start_ns=start_ns
    )
    records = await node.registry.records_of(page.numbers)
    items = [
        _device(record, node, page.statuses[place], page.since_ns[place], page.last_received_ns[place])
        | ({} if page.uptime is None else {"uptime": page.uptime[place]})
        for place, record in enumerate(records)
    ]
    return answer({"devices": items, "total": page.total, "next": page.next, "missing": page.missing})


def _device(record: DeviceRecord, node: Service, status: str, since_ns: int, last_received_ns: int) -> dict[str, Any]:
    device = record.device
    policy = node.registry.policy_of(device)
    pauses = node.planned_downtime.pauses.get(record.number, ())
    until = next(
        (pause.end_ns for pause in pauses if pause.end_ns is not None and pause.end_ns > node.clock.now_ns()), None
    )
    return {
        "id": device.id,
        "status": status,
        "since": _time(since_ns),
        "last_seen": _time(last_received_ns),
        "labels": device.labels,
        "interval": format_seconds(policy.interval_s),
        "grace": format_seconds(policy.grace_s),
        "has_own_interval": device.interval_s is not None,
        "has_own_grace": device.grace_s is not None,
        "note": device.note,
        "created_at": _time(record.created_at_ns),
        **({"paused_until": _time(until)} if status == "paused" else {}),
    }


def _time(at_ns: int | None) -> str | None:
    return None if at_ns is None or at_ns == NEVER_NS else format_rfc3339(at_ns)


@get("/api/v1/devices/{device_id:str}")
async def get_device(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """One device: status, since when, and what is declared."""
    read_query(request)
    return answer(await _described(node, device_id))


async def _described(node: Service, device_id: str) -> dict[str, Any]:
    number = device_number(node, device_id)
    # The status first, at once: while the catalog is asked, somebody may delete the device.
    status = await node.questions.status(device_id)
    (record,) = await node.registry.records_of([number])
    return _device(record, node, *status)


@post("/api/v1/devices", status_code=201)
async def post_device(request: AnyRequest, node: Service, changing: asyncio.Lock) -> Response[bytes]:
    """Declare a device. 409 where its id is known already."""
    ready(node)
    read_query(request)
    said = _decoded(await json_body(request), NewDevice)
    device = _checked(
        Device(said.id, said.labels, _duration("interval", said.interval), _duration("grace", said.grace), said.note)
    )
    async with changing:
        if device.id in node.registry.numbers:
            raise Conflict(f"device {device.id} is known already: change it with PATCH", reason="device_exists")
        await node.registry.register_many([device])
    return answer(await _described(node, device.id), 201)


@patch("/api/v1/devices/{device_id:str}")
async def patch_device(request: AnyRequest, node: Service, changing: asyncio.Lock, device_id: str) -> Response[bytes]:
    """Change what is declared of a device; what is not named stays."""
    device_number(node, device_id)
    read_query(request)
    said = _decoded(await json_body(request), DeviceChange)
    async with changing:
        number = device_number(node, device_id)
        (record,) = await node.registry.records_of([number])
        await node.registry.update({number: _checked(_with(record.device, said))})
    return answer(await _described(node, device_id))


def _with(device: Device, said: DeviceChange) -> Device:
    device = replace(device, labels=_changed(device.labels, said.labels))
    if said.interval is not msgspec.UNSET:
        device = replace(device, interval_s=_duration("interval", said.interval))
    if said.grace is not msgspec.UNSET:
        device = replace(device, grace_s=_duration("grace", said.grace))
    if said.note is not msgspec.UNSET:
        device = replace(device, note=said.note)
    return device


@delete("/api/v1/devices/{device_id:str}", status_code=200)
async def delete_device(request: AnyRequest, node: Service, changing: asyncio.Lock, device_id: str) -> Response[bytes]:
    """Forget a device. Its history stays until retention, and the answer says so."""
    read_query(request)
    async with changing:
        await node.registry.delete([device_number(node, device_id)])
    return answer({"msg": f"device {device_id} is deleted; {HISTORY_STAYS}"})


@patch("/api/v1/devices")
async def patch_devices(request: AnyRequest, node: Service, changing: asyncio.Lock) -> Response[bytes]:
    """Set or take away labels of all devices that match a filter; `dry_run=true` only counts them."""
    ready(node)
    asked = read_query(request, *FILTERS, "dry_run", "all", repeated=("label",))
    said = _decoded(await json_body(request), LabelChange)
    chosen, is_dry, is_all = read_filter(request, asked, node), truth(asked, "dry_run"), truth(asked, "all")
    if chosen == Filter(uptime_window_ns=chosen.uptime_window_ns) and not is_all:
        raise OutOfRange("no filter is given: say which devices, or all=true to mean every one", reason="filter")
    start_ns = node.clock.now_ns() - chosen.uptime_window_ns
    numbers = await node.questions.devices(lambda seen: sure_matches(*seen, chosen), start_ns=start_ns)
    changed = 0
    for start in range(0, len(numbers), LIMIT_HIGHEST):
        async with changing:
            records = await node.registry.records_of(numbers[start : start + LIMIT_HIGHEST])
            known = {record.number: record.device for record in records if not record.is_deleted}
            changes = {
                number: replace(device, labels=_changed(device.labels, said.labels)) for number, device in known.items()
            }
            changes = {number: _checked(device) for number, device in changes.items() if device != known[number]}
            changed += len(changes)
            if changes and not is_dry:
                await node.registry.update(changes)
    return answer({"matched": len(numbers), "changed": changed, "dry_run": is_dry})


@post("/api/v1/devices/{device_id:str}/pause", status_code=200)
async def pause_device(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Expect nothing of a device, until a time, for a while, or until it is resumed."""
    number = device_number(node, device_id)
    read_query(request)
    body = await request.body()
    said = _decoded(await json_body(request), PauseBody) if body.strip() else PauseBody()
    now_ns = node.clock.now_ns()
    if said.until is not None and said.duration is not None:
        raise Malformed("give `until` or `duration`, not both")
    until_ns: int | None = None
    if said.until is not None:
        try:
            until_ns = parse_rfc3339_ns(said.until)
        except ValueError as error:
            raise Malformed(f"`until` is not {EXPECTED}") from error
    elif said.duration is not None:
        until_ns = now_ns + _seconds("duration", said.duration) * NS_PER_S
    if until_ns is not None and not now_ns < until_ns <= TIME_HIGHEST_NS:
        raise OutOfRange(
            "the pause must end later than now and before 2200; say neither for one that has no end", reason="pause"
        )
    await node.planned_downtime.pause(number, until_ns=until_ns)
    return answer(await _described(node, device_id))


@post("/api/v1/devices/{device_id:str}/resume", status_code=200)
async def resume_device(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Expect a device again. 409 where it is not paused."""
    read_query(request)
    if not await node.planned_downtime.resume(device_number(node, device_id)):
        raise Conflict(f"device {device_id} is not paused", reason="not_paused")
    return answer(await _described(node, device_id))


@get("/api/v1/devices.csv")
async def export_devices(request: AnyRequest, node: Service) -> Response[bytes]:
    """All devices that match a filter as CSV, which the import takes as it is."""
    ready(node)
    asked = read_query(request, *FILTERS, repeated=("label",))
    chosen = read_filter(request, asked, node)
    start_ns = node.clock.now_ns() - chosen.uptime_window_ns
    numbers = await node.questions.devices(lambda seen: sure_matches(*seen, chosen), start_ns=start_ns)
    names = sorted(node.registry.roster.labels)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["device_id", *FIELDS, *names])
    for start in range(0, len(numbers), LIMIT_HIGHEST):
        for record in await node.registry.records_of(numbers[start : start + LIMIT_HIGHEST]):
            device = record.device
            durations = [
                None if seconds is None else format_seconds(seconds) for seconds in (device.interval_s, device.grace_s)
            ]
            cells = [device.id, *durations, device.note, *(device.labels.get(name) for name in names)]
            table.writerow([safe_cell(cell) for cell in cells])
    return Response(text.getvalue().encode(), headers={"content-type": "text/csv; charset=utf-8"})


@post("/api/v1/devices.csv", status_code=200)
async def import_devices(request: AnyRequest, node: Service, changing: asyncio.Lock) -> Response[bytes]:
    """Declare the devices of a CSV: new ones are added, known ones replaced; a verdict for every line that was not taken."""
    ready(node)
    asked = read_query(request, "dry_run")
    is_dry = truth(asked, "dry_run")
    _check_csv(request)
    body = await request.body()
    try:
        lines = await asyncio.to_thread(list, read_lines(io.StringIO(body.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Malformed(f"the body cannot be read as CSV in UTF-8: {error}") from error
    except ValueError as error:
        raise Malformed(str(error)) from error
    if len(lines) > node.connections.limits.bulk_lines_max:
        raise TooLarge(
            f"{len(lines)} lines are more than {node.connections.limits.bulk_lines_max} (bulk_lines_max)",
            reason="bulk_lines",
        )
    good: dict[str, Device] = {}
    line_of: dict[str, int] = {}
    bad: list[DeviceLine] = []
    for line in lines:
        if line.device is None:
            bad.append(line)
        elif line.device.id in good:
            bad.append(DeviceLine(line.number, None, f"line {line_of[line.device.id]} has {line.device.id} already"))
        else:
            good[line.device.id], line_of[line.device.id] = line.device, line.number
    known = sum(device_id in node.registry.numbers for device_id in good)
    changed = None
    if not is_dry:
        async with changing:
            registered = await node.registry.register_many(good.values())
        changed = len(registered.changed)
    return answer(
        {
            "new": len(good) - known,
            "known": known,
            **({} if changed is None else {"changed": changed}),
            "refused": [{"line": line.number, "msg": line.error} for line in bad[:VERDICTS_LISTED]],
            "refused_total": len(bad),
            "capped": len(bad) > VERDICTS_LISTED,
            "dry_run": is_dry,
        }
    )


def _check_csv(request: AnyRequest) -> None:
    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnsupportedMedia("an import takes no Content-Encoding: send the CSV as it is")
    if request.headers.get("content-type", "text/csv").split(";", 1)[0].strip().lower() != "text/csv":
        raise UnsupportedMedia("Content-Type must be text/csv")


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (ValueError, RecursionError) as error:
        raise malformed(error, f"expected {', '.join(kind.__struct_fields__)}; see /docs") from error


def _duration(name: str, text: str | None) -> int | None:
    return None if text is None else _seconds(name, text)


def _checked(device: Device) -> Device:
    try:
        check_device(device)
        taken = sorted(device.labels.keys() & {"device_id", *FIELDS})
        if taken:
            raise ValueError(f"no label can be called {taken[0]}: it is a column of its own in a CSV of devices")
    except ValueError as error:
        raise OutOfRange(str(error), reason="device") from error
    return device


def _changed(labels: dict[str, str], change: dict[str, str | None]) -> dict[str, str]:
    merged = {**labels, **change}
    return {name: value for name, value in merged.items() if value is not None}
