"""Answers about metrics, of one device and of groups of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

from msgspec import UNSET, UnsetType

from fleetpulse.aggregate.aggregations import RULES
from fleetpulse.errors import Malformed, OutOfRange
from fleetpulse.limits import QuestionLimits
from fleetpulse.model.metric import AGGREGATIONS, Aggregation, MetricDefinition
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query import answers
from fleetpulse.query.budget import Budget, hold_answer
from fleetpulse.query.groups import Groups
from fleetpulse.query.limits import check_cells
from fleetpulse.query.metric_notes import ExpiredSamples, buckets_note, expired_samples
from fleetpulse.query.metrics import EXACT_SAMPLES_MAX, DeviceSelection, MetricResult, find
from fleetpulse.query.notes import ahead_notes
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window

POINTS_AT_ONCE = 1_024
"""Points of a series that are made between two looks whether the question is to be stopped."""


@dataclass(frozen=True, slots=True)
class MetricQuestion:
    """Which metric, and how its samples become one figure."""

    number: int
    metric: MetricDefinition
    aggregation: Aggregation


def read_aggregation(text: str | None) -> Aggregation | None:
    """An aggregation by its name. Raises: OutOfRange."""
    for aggregation in AGGREGATIONS:
        if text == aggregation:
            return aggregation
    if text is not None:
        raise OutOfRange(
            f"aggregation must be one of {', '.join(AGGREGATIONS)}, not `{text[:50]}`", reason="aggregation"
        )
    return None


def split_types(types: str, defined: Sequence[str], *, types_max: int) -> list[str]:
    """The names in `types`, each once. Raises: Malformed: there is none. OutOfRange: there are too many."""
    names = [name for name in dict.fromkeys(types.split(",")) if name]
    if not names:
        raise Malformed(f"`types` must name metrics, such as types=cpu,memory; defined are: {', '.join(defined[:50])}")
    if len(names) > types_max:
        raise OutOfRange(f"{len(names)} types are more than {types_max} in one question (types_max)", reason="types")
    return names


def device_metrics(
    samples: Samples, questions: Sequence[MetricQuestion], *, device_id: str, device: int, window: Window, now_ns: int
) -> answers.DeviceMetrics:
    """Metrics of one device."""
    hold_answer(samples.budget, window.buckets * len(questions))
    metrics: dict[str, answers.DeviceMetric] = {}
    missing: list[answers.Missing] = []
    for question in questions:
        result, kept = _result(samples, question, DeviceSelection(device), window, now_ns)
        metrics[question.metric.name] = answers.DeviceMetric(
            **_method(samples, question, result, window, now_ns=now_ns), **_figures(result, 0, kept, samples.budget)
        )
        missing += [span for span in result.missing if span not in missing]
    return answers.DeviceMetrics(
        device_id=device_id,
        start=window.start,
        end=window.end,
        step_s=window.step_s,
        timezone=window.timezone,
        metrics=metrics,
        missing=missing,
        notes=[*window.notes, *ahead_notes(samples, _metrics(questions), window, device=device)],
    )


def _metrics(questions: Sequence[MetricQuestion]) -> list[tuple[int, MetricDefinition]]:
    return [(question.number, question.metric) for question in questions]


def check_figures(limits: QuestionLimits, questions: Sequence[MetricQuestion], groups: Groups, window: Window) -> None:
    """Raises: OutOfRange: an answer of `fleet_metrics` would have too many figures."""
    cells = len(groups) * window.buckets * len(questions)
    check_cells(cells, "figures", cells_max=limits.cells_max, advice="ask for fewer groups or types, or a longer step")


def fleet_metrics(
    samples: Samples, questions: Sequence[MetricQuestion], *, groups: Groups, by: str, window: Window, now_ns: int
) -> answers.FleetMetrics:
    """Metrics of all devices that are selected, by the values of a label."""
    hold_answer(samples.budget, len(groups) * window.buckets * len(questions))
    selection = DeviceSelection(None, groups.codes, max(1, len(groups.names)))
    methods: dict[str, answers.MetricMethod] = {}
    figures: list[dict[str, answers.GroupMetric]] = [{} for _ in groups.names]
    missing: list[answers.Missing] = []
    for question in questions:
        result, kept = _result(samples, question, selection, window, now_ns)
        methods[question.metric.name] = answers.MetricMethod(
            **_method(samples, question, result, window, now_ns=now_ns)
        )
        missing += [span for span in result.missing if span not in missing]
        for place, metrics in enumerate(figures):
            metrics[question.metric.name] = answers.GroupMetric(**_figures(result, place, kept, samples.budget))
    found = [
        answers.MetricGroup(name, size, metrics)
        for name, size, metrics in zip(groups.names, groups.sizes, figures, strict=True)
    ]
    return answers.FleetMetrics(
        start=window.start,
        end=window.end,
        step_s=window.step_s,
        timezone=window.timezone,
        group_by=by or None,
        metrics=methods,
        groups=sorted(found, key=lambda group: group.group),
        missing=missing,
        notes=[*window.notes, *ahead_notes(samples, _metrics(questions), window, codes=groups.codes)],
    )


def _result(
    samples: Samples, question: MetricQuestion, selection: DeviceSelection, window: Window, now_ns: int
) -> tuple[MetricResult, Window]:
    kept = within_retention(window, question.metric, now_ns)
    result = find(
        samples,
        number=question.number,
        metric=question.metric,
        aggregation=question.aggregation,
        selection=selection,
        window=kept,
    )
    return result, kept


def within_retention(window: Window, metric: MetricDefinition, now_ns: int) -> Window:
    """What retention leaves of a window: an answer must not depend on when old blocks happen to be removed."""
    # If all of it is older than retention, its last nanosecond is left, since a window cannot be empty.
    start_ns = min(max(window.start_ns, _kept_from_ns(metric, now_ns)), window.end_ns - 1)
    return window.since(start_ns)


def _kept_from_ns(metric: MetricDefinition, now_ns: int) -> int:
    return (now_ns // NS_PER_DAY - metric.retention_days) * NS_PER_DAY


class _Method(TypedDict):
    unit: str
    aggregation: Aggregation
    tiers: list[str]
    method: str | UnsetType
    note: str | UnsetType
    kept_from: str | UnsetType
    expired: int | UnsetType


def _method(
    samples: Samples, question: MetricQuestion, result: MetricResult, window: Window, *, now_ns: int
) -> _Method:
    metric, aggregation = question.metric, question.aggregation
    rule = RULES[aggregation]
    expired = expired_samples(samples.manifest.expired, question.number, window)
    kept_from_ns = max(_kept_from_ns(metric, now_ns), 0 if expired is None else expired.until_ns)
    return {
        "unit": metric.unit if rule.has_unit else "",
        "aggregation": aggregation,
        "tiers": result.tiers,
        "method": rule.method[0 if result.is_exact or rule.of_cells is None else 1] if rule.method else UNSET,
        "note": "; ".join(_notes(question, result, window, expired)) or UNSET,
        "kept_from": format_rfc3339(kept_from_ns) if window.start_ns < kept_from_ns else UNSET,
        "expired": UNSET if expired is None else expired.count,
    }


def _notes(
    question: MetricQuestion, result: MetricResult, window: Window, expired: ExpiredSamples | None
) -> Iterator[str]:
    if RULES[question.aggregation].of_cells is None and not result.is_exact:
        yield (
            f"{question.aggregation} needs every sample: it is null where samples are gone (raw_days), "
            f"and if there are more than {EXACT_SAMPLES_MAX} in the days of the window"
        )
    if result.is_overflown:
        yield "a null beside a count is a figure beyond the largest double, 1.8e308"
    if result.coarse:
        yield buckets_note(result, window)
    if expired is not None:
        yield expired.note


class _Figures(TypedDict):
    value: int | float | UnsetType | None
    series: list[answers.MetricPoint] | UnsetType
    count: int


def _figures(result: MetricResult, place: int, window: Window, budget: Budget) -> _Figures:
    """The figures of one group: a value, or a series of those buckets in which there were samples."""
    start = place * window.buckets
    if window.step_ns is None:
        return {"value": result.values[start], "series": UNSET, "count": result.counts[start]}
    series: list[answers.MetricPoint] = []
    for first in range(0, window.buckets, POINTS_AT_ONCE):
        budget.check()
        series += [
            answers.MetricPoint(format_rfc3339(window.bucket_start_ns(bucket)), result.values[start + bucket], count)
            for bucket in range(first, min(window.buckets, first + POINTS_AT_ONCE))
            if (count := result.counts[start + bucket])
        ]
    return {"value": UNSET, "series": series, "count": sum(result.counts[start : start + window.buckets])}
