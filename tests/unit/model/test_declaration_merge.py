"""Which fields of a file are set, by what the file said before and what is in effect."""

import pytest

from fleetpulse.model.declaration_merge import (
    EntryConflict,
    Fields,
    FileRule,
    Known,
    MergeReport,
    Merging,
    Rule,
    entry_change,
    import_rule,
)

LATER = FileRule(is_first=False)
FIRST = FileRule(is_first=True)
NULL_IS_NAMED = FileRule(is_first=False, not_named=object())
IN_EFFECT = {"site": "lyon", "note": None}


@pytest.mark.parametrize(
    ("rule", "named", "known", "sets"),
    [
        (FIRST, {"site": "paris"}, Known(), {"site": "paris"}),
        (FIRST, {"site": "paris"}, Known(IN_EFFECT), None),
        (FIRST, {"site": "paris"}, Known(was_deleted=True), None),
        (LATER, {}, Known(), {}),
        (LATER, {"site": "paris"}, Known(IN_EFFECT, last_read={"site": "paris"}), None),
        (LATER, {"site": "rome", "note": "n"}, Known(IN_EFFECT, last_read={"site": "paris", "note": "n"}),
         {"site": "rome"}),
        (LATER, {"site": None}, Known(IN_EFFECT, last_read={"site": "paris"}), {"site": None}),
        (LATER, {"site": None}, Known(IN_EFFECT, last_read={}), None),
        (NULL_IS_NAMED, {"site": None}, Known(IN_EFFECT, last_read={}), {"site": None}),
        (LATER, {"site": "paris"}, Known(IN_EFFECT), {"site": "paris"}),
        (LATER, {"site": "paris"}, Known(was_deleted=True, last_read={"site": "paris"}), None),
        (LATER, {"site": "rome", "note": "n"}, Known(was_deleted=True, last_read={"site": "paris", "note": "n"}),
         {"site": "rome", "note": "n"}),
        (LATER, {}, Known(was_deleted=True), {}),
        (LATER, {}, Known(was_deleted=True, last_read={}), None),
        (import_rule, {"site": None, "note": "n"}, Known(IN_EFFECT), {"site": None, "note": "n"}),
        (import_rule, {"site": "lyon"}, Known(IN_EFFECT), None),
        (import_rule, {"site": None}, Known(was_deleted=True), {"site": None}),
    ],
)  # fmt: skip
def test_the_three_values_decide(rule: Rule, named: Fields, known: Known, sets: Fields | None) -> None:
    assert rule(named, known) == sets


def test_every_entry_is_counted_once_and_conflicts_beside_that() -> None:
    report = MergeReport(listed_max=1)
    merging = Merging(FIRST, report)

    def declare(sets: Fields) -> tuple[str, Fields]:
        return "declared", sets

    assert merging.entry("a", {"site": "x"}, Known(), declare) == ("declared", True)
    assert merging.entry("b", {"site": "x"}, Known(IN_EFFECT), declare) == (None, True)
    assert merging.entry("c", {"site": "lyon"}, Known(IN_EFFECT), declare) == (None, True)
    assert merging.entry("d", {"site": "x"}, Known(was_deleted=True), declare) == (None, True)
    assert (report.added, report.changed, report.unchanged, report.in_conflict) == (1, 0, 3, 2)
    assert report.conflicts == [EntryConflict("b", "site is lyon, in the file x")]


def test_what_does_not_fit_is_a_conflict_and_is_not_taken() -> None:
    def declare(sets: Fields) -> tuple[str, Fields]:
        raise ValueError("too many labels")

    report = MergeReport(listed_max=9)
    assert Merging(LATER, report).entry("a", {"site": "x"}, Known(IN_EFFECT), declare) == (None, False)
    assert "does not fit" in report.conflicts[0].text
    assert "too many labels" in report.conflicts[0].text


def test_a_change_lists_the_fields_that_differ_also_those_that_go() -> None:
    change = entry_change("a", {"site": "x", "hall": "2", "note": None}, {"site": "y", "note": None})
    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("site", "x", "y"),
        ("hall", "2", None),
    ]
