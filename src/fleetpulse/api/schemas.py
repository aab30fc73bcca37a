"""The shapes of the OpenAPI document: what bodies may say, and what answers do.

Bodies are derived from the structs that read them; answers are written down, closed, so that schemathesis finds a field that
is not.
"""

from typing import Any

import msgspec

from fleetpulse.api.definitions import DefinitionChange, WindowBody
from fleetpulse.api.devices import DeviceChange, LabelChange, NewDevice, PauseBody
from fleetpulse.ingest.metrics_file import Definition
from fleetpulse.model.device import ID_CHARS_MAX, LABEL_VALUE_CHARS_MAX, LABELS_MAX, NOTE_CHARS_MAX
from fleetpulse.model.events import UPLOAD_TIME_HIGHEST
from fleetpulse.model.metric import AGGREGATIONS, KINDS
from fleetpulse.model.status import STATUSES
from fleetpulse.model.uptime import FORMULA, REASONS
from fleetpulse.notation.timestamp import EXPECTED

Json = dict[str, Any]
NAME: Json = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"}
DEVICE_ID: Json = {"type": "string", "minLength": 1, "maxLength": ID_CHARS_MAX, "pattern": "^[A-Za-z0-9._~:@+=,-]+$"}
DURATION: Json = {
    "type": "string",
    "pattern": "^(([0-9]{1,9}w)?([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s?)?)$",
    "minLength": 1,
    "description": "a duration such as 90s, 15m, 1h, 30d or 1h30m",
}
TIME: Json = {"type": "string", "format": "date-time", "description": EXPECTED}
_SENT_AT: Json = {
    "type": "string",
    "format": "date-time",
    "description": "RFC 3339, any offset, up to nanoseconds; from 2000 to 24 h (future_s) ahead of the server's clock",
    "examples": ["2026-11-24T08:30:00Z"],
}
_UPLOAD_TIME: Json = {"type": "integer", "minimum": 0, "maximum": UPLOAD_TIME_HIGHEST, "description": "nanoseconds"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_TEXT: Json = {"type": "string"}
_TRUTH: Json = {"type": "boolean"}
_PERCENT: Json = {
    "type": ["number", "null"],
    "minimum": 0,
    "maximum": 100,
    "description": "per cent; null where nothing was expected",
}
_SECONDS: Json = {"type": ["number", "null"], "minimum": 0, "description": "seconds; null where silences are missing"}
_METRIC_VALUES: Json = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "number"},
    "description": "a number for each metric; all of them must be defined",
    "examples": [{"cpu": 12.5, "memory": 71}],
}
_LABELS: Json = {
    "type": "object",
    "maxProperties": LABELS_MAX,
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": LABEL_VALUE_CHARS_MAX},
    "propertyNames": NAME,
}


def ref(name: str) -> Json:
    """A reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _body(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def _answer(optional: Json | None = None, **required: Json) -> Json:
    """An answer with no other fields than these."""
    return _body(list(required), **required, **(optional or {})) | {"additionalProperties": False}


def _list(items: Json, text: str = "") -> Json:
    return {"type": "array", "items": items} | ({"description": text} if text else {})


def _or_null(schema: Json) -> Json:
    return {"anyOf": [schema, {"type": "null"}]} if "$ref" in schema else {**schema, "type": [schema["type"], "null"]}


def _map(values: Json, text: str = "") -> Json:
    return {"type": "object", "additionalProperties": values} | ({"description": text} if text else {})


_WINDOW: Json = {"from": TIME, "to": TIME}
_STEP: Json = {"step_s": {**_COUNT, "description": "seconds of a step, where one was asked for"}}
_MISSING = _list(ref("Missing"), "spans that the figures lack, since a block is missing or damaged")
_FORMULA: Json = {"type": "string", "const": FORMULA, "description": "version of docs/explanation/uptime.md"}
_FIGURES: Json = {
    "uptime": _PERCENT,
    "present": {**_COUNT, "description": "slots in which the device was there"},
    "expected": {**_COUNT, "description": "slots that count"},
}
_AVAILABLE: Json = {"availability": _PERCENT, "down_s": _SECONDS, "accountable_s": _SECONDS}
_OBSERVED: Json = {
    **_FIGURES,
    "observed": _answer(uptime=_PERCENT, present={**_COUNT, "type": ["integer", "null"]}),
    "left_out": {
        "type": "object",
        "propertyNames": {"enum": list(REASONS[3:])},
        "additionalProperties": _COUNT,
        "description": "slots by reason",
    },
}
_VALUE: Json = {"type": ["number", "null"]}
# Not by prefixItems, which schemathesis reads as another draft's.
_BOUNDS: Json = {
    "type": "array",
    "items": _VALUE,
    "minItems": 2,
    "maxItems": 2,
    "description": "lowest and highest, inclusive; null: none",
}
_POINTS = _list(_answer(at=TIME, value=_VALUE, count=_COUNT), "the steps in which there were samples")
_AGGREGATED: Json = {
    "unit": _TEXT,
    "aggregation": {"type": "string", "enum": list(AGGREGATIONS)},
    "tiers": _list(_TEXT, "what was read"),
}
_ABOUT: Json = {
    "method": {"type": "string", "description": "of a quantile: exact, or from sketches"},
    "note": {"type": "string", "description": "what coarser buckets stand in for samples that are gone"},
    "kept_from": {**TIME, "description": "where retention leaves less than the window"},
}
_ANSWERED: Json = {
    "value": {**_VALUE, "description": "without a step"},
    "series": {**_POINTS, "description": "with a step: the steps in which there were samples"},
}
_REFUSED_LINES: Json = {
    "refused": _list(
        _answer(line={"type": "integer", "minimum": 1}, msg=_TEXT), "the first 100 (bulk: refusals_listed_max)"
    ),
    "refused_total": _COUNT,
}
_CAPPED: Json = {**_TRUTH, "description": "there were more than are listed"}
_UPLOAD_FIGURES: Json = {name: {"type": ["number", "null"]} for name in ("avg", "p50", "p95", "p99")}
_UPLOAD_TEXTS: Json = {f"{name}_text": {"type": ["string", "null"]} for name in _UPLOAD_FIGURES}
_ANSWERS: Json = {
    "DeviceStats": _answer(
        uptime={"type": "number", "minimum": 0, "maximum": 100, "description": "percent"},
        avg_upload_time={
            "type": "string",
            "description": "a duration as Go writes it",
            "examples": ["3m29.226522788s"],
        },
    ),
    "DeviceAudit": _answer(**dict.fromkeys(("accepted", "applied", "pending", "heartbeats", "samples"), _COUNT)),
    "BulkVerdict": _answer(
        {"capped": _CAPPED}, accepted={**_COUNT, "description": "events; a line may hold several"}, **_REFUSED_LINES
    ),
    "Device": _answer(
        {
            "paused_until": {**_or_null(TIME), "description": "only of a paused device; null: until it is resumed"},
            "uptime": {**_PERCENT, "description": "only in lists by uptime"},
        },
        id=DEVICE_ID,
        status={"type": "string", "enum": list(STATUSES)},
        since=_or_null(TIME),
        last_seen={**_or_null(TIME), "description": "when anything was received, by our clock"},
        labels=_map(_TEXT),
        interval={"type": "string", "description": "between two beats; the device's own, or the service's"},
        grace={"type": "string", "description": "past its interval until it is down"},
        has_own_interval=_TRUTH,
        has_own_grace=_TRUTH,
        note=_TEXT,
        created_at=_or_null(TIME),
    ),
    "DeviceList": _answer(
        devices=_list(ref("Device")),
        total={**_COUNT, "description": "how many match"},
        next={"type": ["string", "null"], "description": "`cursor` of the next page; null: there is none"},
        missing=_MISSING,
    ),
    "Relabelled": _answer(matched=_COUNT, changed=_COUNT, dry_run=_TRUTH),
    "Imported": _answer(
        {"changed": {**_COUNT, "description": "known ones that became other ones; not in a dry run"}},
        new=_COUNT,
        known=_COUNT,
        **_REFUSED_LINES,
        capped=_CAPPED,
        dry_run=_TRUTH,
    ),
    "Said": _answer(msg=_TEXT),
    "Missing": _answer(**_WINDOW, reason=_TEXT),
    "Uptime": _answer(
        {
            **_STEP,
            "series": _list(_answer(at=TIME, **_OBSERVED)),
            "intervals": _list(_answer(**_WINDOW, reason={"type": "string", "enum": list(REASONS)}, slots=_COUNT)),
            "capped": _CAPPED,
        },
        device_id=DEVICE_ID,
        **_WINDOW,
        formula=_FORMULA,
        slot_s={**_COUNT, "description": "seconds of a slot"},
        **_OBSERVED,
        **_AVAILABLE,
        missing=_MISSING,
    ),
    "Transitions": _answer(
        device_id=DEVICE_ID,
        **_WINDOW,
        status_before={"type": "string", "enum": list(STATUSES)},
        transitions=_list(_answer(**{"at": TIME, "from": _TEXT, "to": _TEXT}), "at most 10000, oldest first"),
        more_from={**_or_null(TIME), "description": "`from` of the rest; null: that was all"},
        missing=_MISSING,
    ),
    "FleetUptime": _answer(
        _STEP,
        **_WINDOW,
        formula=_FORMULA,
        group_by={"type": ["string", "null"]},
        fleet=_answer(devices=_COUNT, **_FIGURES, **_AVAILABLE),
        groups=_list(
            _answer(
                {"series": _list(_body(["at"], at=TIME, **_FIGURES, **_AVAILABLE) | {"additionalProperties": False})},
                group={"type": "string", "description": "value of the label; empty: devices without it"},
                devices=_COUNT,
                **_FIGURES,
                **_AVAILABLE,
            )
        ),
        missing=_MISSING,
    ),
    "FleetStats": _answer(
        **_WINDOW,
        formula=_FORMULA,
        devices=_answer(total=_COUNT, by_status=_answer(**dict.fromkeys(STATUSES, _COUNT))),
        uptime=_answer(**_FIGURES, **_AVAILABLE),
        worst=_list(_answer(id=DEVICE_ID, **_FIGURES), "the ten that were there least"),
        upload_time=_answer(unit=_TEXT, count=_COUNT, **_UPLOAD_FIGURES, **_UPLOAD_TEXTS),
        missing=_MISSING,
    ),
    "DeviceMetrics": _answer(
        _STEP,
        device_id=DEVICE_ID,
        **_WINDOW,
        metrics=_map(_answer({**_ABOUT, **_ANSWERED}, **_AGGREGATED, count=_COUNT)),
        missing=_MISSING,
    ),
    "FleetMetrics": _answer(
        _STEP,
        **_WINDOW,
        group_by={"type": ["string", "null"]},
        metrics=_map(_answer(_ABOUT, **_AGGREGATED)),
        groups=_list(_answer(group=_TEXT, devices=_COUNT, metrics=_map(_answer(_ANSWERED, count=_COUNT)))),
        missing=_MISSING,
    ),
    "MetricDefinition": _answer(
        name=NAME,
        unit=_TEXT,
        kind={"type": "string", "enum": list(KINDS)},
        aggregation={"type": "string", "enum": list(AGGREGATIONS)},
        retention_days=_COUNT,
        raw_days={
            **_or_null(_COUNT),
            "description": "days that the samples themselves are kept; null: as long as the roll-ups",
        },
        bounds=_BOUNDS,
        description=_TEXT,
    ),
    "MetricDefinitions": _answer(metrics=_list(ref("MetricDefinition"))),
    "MaintenanceWindow": _answer(
        id=_TEXT,
        title=_TEXT,
        labels=_map(_TEXT),
        devices=_list(_TEXT),
        all=_TRUTH,
        start=TIME,
        end=_or_null(TIME),
        recurrence=_or_null(ref("WeeklyBody")),
        next=_or_null(ref("Span")),
        is_on=_TRUTH,
    ),
    "MaintenanceWindows": _answer(windows=_list(ref("MaintenanceWindow"))),
    "Span": _answer(**_WINDOW),
    "Problem": _answer(msg=_TEXT, type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT),
}
# A device's reports take fields that they do not know: newer devices talk to older servers.
_REPORTS: Json = {
    "Heartbeat": _body(["sent_at"], sent_at=_SENT_AT),
    "UploadStats": _body(["sent_at", "upload_time"], sent_at=_SENT_AT, upload_time=_UPLOAD_TIME),
    "MetricsReport": _body(["sent_at", "metrics"], sent_at=_SENT_AT, metrics=_METRIC_VALUES),
    "Event": _body(
        ["device_id", "sent_at"],
        device_id=DEVICE_ID,
        sent_at=_SENT_AT,
        upload_time={**_UPLOAD_TIME, "type": ["integer", "null"]},
        metrics={**_METRIC_VALUES, "type": ["object", "null"]},
    ),
}
_KNOWN_FIELDS: Json = {
    "NewDevice": {"id": DEVICE_ID, "labels": _LABELS, "interval": _or_null(DURATION), "grace": _or_null(DURATION)},
    "DeviceChange": {"interval": _or_null(DURATION), "grace": _or_null(DURATION)},
    "PauseBody": {"until": _or_null(TIME), "duration": _or_null(DURATION)},
    "Definition": {
        "name": NAME,
        "bounds": _BOUNDS,
        "kind": {"enum": list(KINDS)},
        "aggregation": {"enum": list(AGGREGATIONS)},
    },
    "DefinitionChange": {"bounds": _BOUNDS, "aggregation": {"enum": list(AGGREGATIONS)}},
    "WindowBody": {"labels": _LABELS, "start": _or_null(TIME), "end": _or_null(TIME)},
    "WeeklyBody": {
        "at": {"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "description": "time of day such as 02:30"},
        "duration": DURATION,
        "timezone": {"description": "an IANA name", "examples": ["Europe/Paris"]},
        "weekdays": {"description": "none: every day", "examples": [["monday", "friday"]]},
    },
}
_KNOWN_FIELDS["NewDevice"]["note"] = _KNOWN_FIELDS["DeviceChange"]["note"] = {"maxLength": NOTE_CHARS_MAX}


def schemas() -> Json:
    """All of them, by name."""
    kinds = [NewDevice, DeviceChange, LabelChange, PauseBody, Definition, DefinitionChange, WindowBody]
    _, bodies = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for name, known in _KNOWN_FIELDS.items():
        properties = bodies[name]["properties"]
        for field, more in known.items():
            # What is known beyond the type; it replaces alternatives.
            properties[field] = {
                key: value for key, value in properties[field].items() if key not in ("anyOf", "prefixItems")
            } | more
    return {**_REPORTS, **bodies, **_ANSWERS}
