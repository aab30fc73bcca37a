"""When a checkpoint is due: the rule over plain values."""

from dataclasses import replace
from typing import Any

import pytest

from fleetpulse.limits import CheckpointTriggers
from fleetpulse.pipeline.checkpoint_due import SinceCheckpoint, is_checkpoint_due

TRIGGERS = CheckpointTriggers(
    checkpoint_s=300,
    checkpoint_journal_entries=100,
    checkpoint_late_rows=20,
    checkpoint_samples=1_000,
    checkpoint_reception_gaps=50,
)
NOTHING = SinceCheckpoint(
    elapsed_s=0,
    journal_entries=0,
    late_rows=0,
    samples=0,
    gaps=0,
    is_day_closed=False,
    has_forgotten=False,
    has_failed=False,
)
URGENT: list[dict[str, Any]] = [
    {"journal_entries": 100},
    {"late_rows": 20},
    {"samples": 1_000},
    {"gaps": 50},
    {"is_day_closed": True},
    {"has_forgotten": True},
]


def is_due(**facts: Any) -> bool:
    return is_checkpoint_due(replace(NOTHING, **facts), TRIGGERS)


def test_nothing_new_is_never_due() -> None:
    assert not is_due(elapsed_s=1e9)


def test_a_single_entry_is_due_after_the_interval() -> None:
    assert not is_due(journal_entries=1, elapsed_s=299.9)
    assert is_due(journal_entries=1, elapsed_s=300)


@pytest.mark.parametrize("facts", URGENT)
def test_what_has_gathered_too_much_is_due_at_once(facts: dict[str, Any]) -> None:
    assert is_due(**facts)


@pytest.mark.parametrize("facts", URGENT[:4])
def test_one_less_than_a_limit_waits(facts: dict[str, Any]) -> None:
    assert not is_due(**{name: value - 1 for name, value in facts.items()})


@pytest.mark.parametrize("facts", URGENT)
def test_after_a_failure_even_the_urgent_waits_for_the_interval(facts: dict[str, Any]) -> None:
    entries = {"journal_entries": 1, **facts}
    assert not is_due(has_failed=True, **entries)
    assert is_due(has_failed=True, elapsed_s=300, **entries)
