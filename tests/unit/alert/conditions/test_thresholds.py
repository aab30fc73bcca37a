"""When a figure is beyond a threshold, and when it is back."""

import numpy as np
import pytest

from fleetpulse.alert.conditions.memory import NO_ALERTS, OpenAlerts
from fleetpulse.alert.conditions.thresholds import is_beyond, since, was_true
from fleetpulse.model.alert_rule import AlertRule, Comparison

VALUES = np.array([84.0, 85.0, 87.0, 90.0, 91.0, np.nan])


@pytest.mark.parametrize(
    ("comparison", "clear", "fresh", "before"),
    [
        (">", None, "....#.", "....#."),
        (">=", None, "...##.", "...##."),
        ("<", None, "###...", "###..."),
        ("<=", None, "####..", "####.."),
        (">", 85.0, "....#.", ".####."),
        (">=", 85.0, "...##.", ".####."),
        ("<", 90.5, "###...", "####.."),
        ("<=", 91.0, "####..", "#####."),
    ],
)
def test_true_beyond_the_threshold_and_once_true_until_past_the_second(
    comparison: Comparison, clear: float | None, fresh: str, before: str
) -> None:
    rule = AlertRule(name="r", kind="metric", comparison=comparison, threshold=90.0, clear_threshold=clear)
    for known, expected in ((False, fresh), (True, before)):
        found = is_beyond(rule, VALUES, np.full(len(VALUES), known))
        assert "".join("#" if one else "." for one in found) == expected


def test_what_was_true_before_keeps_its_time() -> None:
    known = OpenAlerts(
        subjects=np.array([2, 4, 6]), since_ns=np.array([20, 40, 60]), is_true=np.array([True, False, True])
    )
    subjects = np.array([1, 2, 4, 6, 7])
    assert was_true(known, subjects).tolist() == [False, True, False, True, False]
    assert since(known, subjects, 99).tolist() == [99, 20, 99, 60, 99]
    assert since(NO_ALERTS, subjects, subjects).tolist() == subjects.tolist()
    assert since(known, subjects[:0], 99).tolist() == []
