"""What is said where a question was perhaps meant otherwise."""

from collections.abc import Sequence

import numpy as np
import pytest

from fleetpulse.blocks.history import History
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.roster import Roster
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.notes import ahead_notes, selection_notes
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window
from sample_blocks import CPU, DAY, LOAD, columns_of


def roster_of(*labels: dict[str, str]) -> Roster:
    roster = Roster()
    roster.resize(len(labels))
    for number, pairs in enumerate(labels):
        roster.put(number, pairs)
    return roster


ROSTER = roster_of({"site": "paris", "hall": "1"}, {"site": "lyon", "hall": "2"}, {})


@pytest.mark.parametrize(
    ("labels", "by", "notes"),
    [
        ([], "", []),
        ([("site", "paris")], "hall", []),
        ([("site", "pariss")], "", ["no device has the label site:pariss; did you mean paris?"]),
        ([("site", "x")], "", ["no device has the label site:x; values of site are lyon, paris"]),
        ([("sit", "paris")], "", ["no device has the label sit:paris; did you mean site?"]),
        ([("x", "1")], "", ["no device has the label x:1; labels are hall, site"]),
        ([("site", "paris"), ("hall", "2")], "", ["no device has all of these labels: site:paris, hall:2"]),
        ([("site", "paris"), ("hall", "9")], "", ["no device has the label hall:9; values of hall are 1, 2"]),
        ([], "sites", ["no device has a label `sites` to group by; did you mean site?"]),
        ([("site", "rome")], "hall", ["no device has the label site:rome; values of site are lyon, paris"]),
        (
            [("site", "rome")],
            "x",
            [
                "no device has the label site:rome; values of site are lyon, paris",
                "no device has a label `x` to group by; labels are hall, site",
            ],
        ),
    ],
)
def test_a_label_that_matches_nothing_is_named_with_what_may_have_been_meant(
    labels: list[tuple[str, str]], by: str, notes: list[str]
) -> None:
    assert selection_notes(ROSTER, labels, by=by) == notes


def test_a_label_to_group_by_that_only_other_devices_have_is_named() -> None:
    roster = roster_of({"site": "paris"}, {"hall": "2"})
    assert selection_notes(roster, [("site", "paris")], by="hall") == [
        "none of these devices has a label `hall` to group by"
    ]


def test_labels_of_deleted_devices_count_for_nothing() -> None:
    roster = roster_of({"site": "paris"})
    roster.put(0, {"site": "paris"}, is_deleted=True)
    assert selection_notes(roster, [("site", "paris")]) == [
        "no device has the label site:paris; no device has any label"
    ]


def test_a_note_is_short_whatever_was_asked_for_and_however_many_values_there_are() -> None:
    roster = roster_of(*({"site": f"value-{number}"} for number in range(5_000)))
    for labels in ([("site", "x" * 9_000)], [("y" * 9_000, "x")], [("site", f"value-{n}") for n in range(500)]):
        (note,) = selection_notes(roster, labels)
        assert len(note) < 700
    assert "and 4990 more" in selection_notes(roster, [("site", "zzz")])[0]


START = DAY * NS_PER_DAY
METRICS = [(CPU, MetricDefinition(name="cpu")), (LOAD, MetricDefinition(name="load"))]


def window(minutes: int, *, ends_now: bool = True) -> Window:
    return Window(START, START + minutes * NS_PER_MINUTE, ends_now=ends_now)


def samples_of(*pieces: Sequence[tuple[int, int, float, float]]) -> Samples:
    return Samples([columns_of(piece) for piece in pieces], Manifest(), History(MemoryBlockStore(), Manifest()))


def test_samples_ahead_of_now_are_counted_by_metric_for_whom_it_is_asked() -> None:
    where = samples_of([(CPU, 0, 1, 1.0), (CPU, 0, 9, 1.0), (CPU, 1, 10, 1.0)], [(LOAD, 0, 11, 1.0)], [])
    tail = "ahead of now: the window ends now, and leaves out what comes later"
    assert ahead_notes(where, METRICS, window(9), device=0) == [f"1 sample of cpu {tail}", f"1 sample of load {tail}"]
    assert ahead_notes(where, METRICS, window(10), device=0) == [f"1 sample of load {tail}"]
    both, first = np.array([0, 0], np.int32), np.array([0, -1], np.int32)
    assert ahead_notes(where, METRICS[:1], window(5), codes=both) == [f"2 samples of cpu {tail}"]
    assert ahead_notes(where, METRICS[:1], window(5), codes=first) == [f"1 sample of cpu {tail}"]
    assert ahead_notes(where, METRICS[:1], window(5), codes=first[:0]) == []


def test_nothing_is_ahead_where_the_window_ends_earlier_or_after_all() -> None:
    where = samples_of([(CPU, 0, 9, 1.0)])
    assert ahead_notes(where, METRICS, window(5, ends_now=False), device=0) == []
    assert ahead_notes(where, METRICS, window(10), device=0) == []
