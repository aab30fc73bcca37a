"""Which retention is in force while graces of former ones last, and what their ends will delete."""

from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.retention import ComingDeletion, Grace, coming_deletions, graces_after, in_force

DAY = 86_400 * 10**9
BOTH = "samples and roll-ups"


def metric(retention_days: int, raw_days: int | None = None) -> MetricDefinition:
    return MetricDefinition(name="cpu", retention_days=retention_days, raw_days=raw_days)


def test_a_shorter_retention_keeps_what_was_kept_until_its_grace_ends() -> None:
    graces = graces_after([], metric(365), metric(30), until_ns=5 * DAY)
    assert in_force(metric(30), graces, now_ns=5 * DAY - 1) == metric(365)
    assert in_force(metric(30), graces, now_ns=5 * DAY) == metric(30)
    assert coming_deletions(metric(30), graces, now_ns=0) == [ComingDeletion(BOTH, 5 * DAY, -25 * DAY, 365, 30)]
    assert coming_deletions(metric(30), graces, now_ns=5 * DAY) == []


def test_raising_it_again_ends_the_grace_and_deletes_nothing() -> None:
    graces = graces_after([], metric(365), metric(30), until_ns=5 * DAY)
    assert graces_after(graces, metric(30), metric(365), until_ns=6 * DAY) == []
    assert coming_deletions(metric(400), graces, now_ns=0) == []


def test_each_of_several_steps_down_has_a_grace_of_its_own() -> None:
    graces = graces_after([], metric(365), metric(30), until_ns=5 * DAY)
    graces = graces_after(graces, metric(30), metric(7), until_ns=6 * DAY)
    days = [in_force(metric(7), graces, now_ns=at_ns).retention_days for at_ns in (4 * DAY, 5 * DAY, 6 * DAY)]
    assert days == [365, 30, 7]
    assert [
        (deletion.days_before, deletion.days_after) for deletion in coming_deletions(metric(7), graces, now_ns=0)
    ] == [(365, 30), (30, 7)]


def test_lowering_it_again_renews_a_grace_also_one_of_a_wrong_clock() -> None:
    for first_ns in (5 * DAY, 50_000 * DAY):
        graces = graces_after([], metric(365), metric(30), until_ns=first_ns)
        graces = graces_after(graces, metric(30), metric(365), until_ns=6 * DAY)
        graces = graces_after(graces, metric(365), metric(30), until_ns=7 * DAY)
        assert {grace.until_ns for grace in graces} == {7 * DAY}


def test_samples_have_graces_too_and_go_with_the_roll_ups_where_these_go_as_far() -> None:
    graces = graces_after([], metric(365), metric(365, raw_days=2), until_ns=5 * DAY)
    assert graces == [Grace("raw_days", 365, 5 * DAY)]
    assert in_force(metric(365, raw_days=2), graces, now_ns=0) == metric(365)
    assert coming_deletions(metric(365, raw_days=2), graces, now_ns=0) == [
        ComingDeletion("samples", 5 * DAY, 3 * DAY, 365, 2)
    ]
    both = graces_after([], metric(365, raw_days=90), metric(30, raw_days=2), until_ns=5 * DAY)
    assert in_force(metric(30, raw_days=2), both, now_ns=0) == metric(365, raw_days=90)
    assert [deletion.what for deletion in coming_deletions(metric(30, raw_days=2), both, now_ns=0)] == [BOTH, "samples"]
    (only,) = coming_deletions(metric(30), graces_after([], metric(365), metric(30), until_ns=5 * DAY), now_ns=0)
    assert only.what == BOTH


def test_a_longer_retention_needs_no_grace() -> None:
    assert graces_after([], metric(30), metric(365), until_ns=DAY) == []
    assert in_force(metric(30), [], now_ns=0) == metric(30)
