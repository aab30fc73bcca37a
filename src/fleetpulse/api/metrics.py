"""Questions about metrics, of one device and of the fleet."""

from collections.abc import Callable
from typing import Any

import numpy as np
from litestar import Response, get

from fleetpulse.api.parameters import WINDOW, answer, device_number, read_query, ready, window_of
from fleetpulse.api.problems import AnyRequest
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.model.metric import AGGREGATIONS, MetricDefinition
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.pipeline.service import Service
from fleetpulse.query.answers import Missing
from fleetpulse.query.metrics import DeviceSelection, MetricResult, Samples, find
from fleetpulse.query.missing import distinct
from fleetpulse.query.window import Window

TYPES_MAX = 100


@get("/api/v1/devices/{device_id:str}/metrics")
async def device_metrics(request: AnyRequest, node: Service, device_id: str) -> Response[bytes]:
    """Metrics of one device over a window: `?types=cpu,memory&window=1h`."""
    device = device_number(node, device_id)
    asked = read_query(request, "types", "aggregation", *WINDOW)
    window = window_of(asked, node, default="1h")
    whom = DeviceSelection(device)
    metrics: dict[str, Any] = {}
    missing: list[Missing] = []
    for number, metric, aggregation in read_types(asked, node):
        kept = within_retention(window, metric, node.clock.now_ns())
        found = await node.questions.samples(_question(number, metric, aggregation, whom, kept), is_quick=True)
        metrics[metric.name] = _about(metric, aggregation, found, window, node.clock.now_ns()) | _figures(
            found, 0, kept
        )
        missing += found.missing
    return answer({"device_id": device_id, **window.described(), "metrics": metrics, "missing": distinct(missing)})


@get("/api/v1/fleet/metrics")
async def fleet_metrics(request: AnyRequest, node: Service) -> Response[bytes]:
    """Metrics of all devices, or of those with some labels, by the values of a label."""
    ready(node)
    asked = read_query(request, "types", "aggregation", "group_by", *WINDOW, repeated=("label",))
    window = window_of(asked, node, default="1h")
    types = read_types(asked, node)
    chosen = node.registry.roster.with_labels(read_labels(request))
    by = asked.get("group_by", "")
    codes, names = node.registry.roster.groups(by) if by else (np.zeros(len(chosen), np.int32), [""])
    codes[~chosen] = -1
    sizes = np.bincount(codes[codes >= 0], minlength=len(names))
    cells = int((sizes > 0).sum()) * window.buckets * len(types)
    if cells > node.questions.limits.cells_max:
        raise OutOfRange(
            f"{cells} figures are more than {node.questions.limits.cells_max} (cells_max): ask for fewer groups or types, or a longer step",
            reason="cells",
        )
    # Groups that nobody is in need no cells.
    used = np.flatnonzero(sizes)
    renumbered = np.full(len(names) + 1, -1, np.int32)
    renumbered[used] = np.arange(len(used))
    whom = DeviceSelection(None, renumbered[codes], max(1, len(used)))
    groups: list[dict[str, Any]] = [
        {"group": names[code], "devices": int(sizes[code]), "metrics": {}} for code in used.tolist()
    ]
    about: dict[str, Any] = {}
    missing: list[Missing] = []
    for number, metric, aggregation in types:
        kept = within_retention(window, metric, node.clock.now_ns())
        found = await node.questions.samples(_question(number, metric, aggregation, whom, kept), is_quick=False)
        about[metric.name] = _about(metric, aggregation, found, window, node.clock.now_ns())
        missing += found.missing
        for place, group in enumerate(groups):
            group["metrics"][metric.name] = _figures(found, place, kept)
    groups.sort(key=lambda group: str(group["group"]))
    said = {
        **window.described(),
        "group_by": by or None,
        "metrics": about,
        "groups": groups,
        "missing": distinct(missing),
    }
    return answer(said)


def _question(
    number: int, metric: MetricDefinition, aggregation: str, whom: DeviceSelection, window: Window
) -> Callable[[Samples], MetricResult]:
    return lambda samples: find(
        samples, number=number, metric=metric, aggregation=aggregation, whom=whom, window=window
    )


def read_labels(request: AnyRequest) -> tuple[tuple[str, str], ...]:
    """The labels of `label=name:value`, which may be repeated. Raises: Malformed."""
    labels: list[tuple[str, str]] = []
    for said in request.query_params.getall("label", []):
        name, colon, value = said.partition(":")
        if not colon or not name or not value:
            raise Malformed(f"`label` must be name:value such as site:paris, not `{said[:100]}`")
        labels.append((name, value))
    return tuple(labels)


def read_types(asked: dict[str, str], node: Service) -> list[tuple[int, MetricDefinition, str]]:
    """Number, definition and aggregation of the metrics that `types` names. Raises: Malformed; OutOfRange; UnknownMetric."""
    names = [name for name in dict.fromkeys(asked.get("types", "").split(",")) if name]
    if not names:
        raise Malformed(
            f"`types` must name metrics, such as types=cpu,memory; defined are: {', '.join(node.metric_definitions.known.names[:50])}"
        )
    if len(names) > TYPES_MAX:
        raise OutOfRange(f"{len(names)} types are more than {TYPES_MAX} in one question", reason="types")
    aggregation = asked.get("aggregation")
    if aggregation is not None and aggregation not in AGGREGATIONS:
        raise OutOfRange(
            f"aggregation must be one of {', '.join(AGGREGATIONS)}, not `{aggregation[:50]}`", reason="aggregation"
        )
    known = {metric.name: (number, metric) for number, metric in node.metric_definitions.metrics.items()}
    if not known.keys() >= set(names):
        raise node.metric_definitions.known.unknown(set(names) - known.keys())
    return [(*known[name], aggregation or known[name][1].aggregation) for name in names]


def within_retention(window: Window, metric: MetricDefinition, now_ns: int) -> Window:
    """What retention leaves of a window: an answer must not depend on when old blocks happen to be removed."""
    # Where all of it is past retention, a window of nothing is left.
    start_ns = min(max(window.start_ns, _oldest_ns(metric, now_ns)), window.end_ns - 1)
    return Window(start_ns, window.end_ns, window.step_ns)


def _oldest_ns(metric: MetricDefinition, now_ns: int) -> int:
    return (now_ns // NS_PER_DAY - metric.retention_days) * NS_PER_DAY


def _about(
    metric: MetricDefinition, aggregation: str, found: MetricResult, window: Window, now_ns: int
) -> dict[str, Any]:
    unit = "" if aggregation == "count" else metric.unit
    about: dict[str, Any] = {"unit": unit, "aggregation": aggregation, "tiers": found.tiers}
    if aggregation.startswith("p"):
        about["method"] = (
            "nearest rank, exact" if found.is_exact else "nearest rank, from sketches: relative error at most 1 %"
        )
    if found.coarse:
        about["note"] = (
            f"samples at the edges of the window are gone (raw_days): whole buckets of {', '.join(found.coarse)} stand in"
        )
    if window.start_ns < _oldest_ns(metric, now_ns):
        about["kept_from"] = format_rfc3339(_oldest_ns(metric, now_ns))
    return about


def _figures(found: MetricResult, place: int, window: Window) -> dict[str, Any]:
    """The figures of one group: one, or a series of those buckets in which there were samples."""
    start = place * window.buckets
    if window.step_ns is None:
        return {"value": found.values[start], "count": found.counts[start]}
    series = [
        {
            "at": format_rfc3339(window.bucket_start_ns(bucket)),
            "value": found.values[start + bucket],
            "count": found.counts[start + bucket],
        }
        for bucket in range(window.buckets)
        if found.counts[start + bucket]
    ]
    return {"series": series, "count": sum(found.counts[start : start + window.buckets])}
