"""The gaps between receptions that time down is computed from."""

from dataclasses import replace

import pytest

from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import GAPS
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answers import Missing
from fleetpulse.query.downtime import ended_gaps, gaps_of_one, look_back_ns
from one_fleet import SECOND, OneFleet

DAY_S = 86_400


def test_gaps_in_blocks_and_in_memory_are_one_history() -> None:
    one = OneFleet(devices=2)
    one.hear("10:00:00", device=1)
    one.hear("10:00:00", "10:30:00", device=0)
    one.move("11:00:00")
    one.checkpoint()
    one.hear("11:00:00", device=0)
    view = one.view(one.at("10:00:01"))
    gaps = gaps_of_one(view, ended_gaps(view, start_ns=one.at("10:00:01")))
    ends = [one.at("10:30:00"), one.at("11:00:00"), one.at("11:00:00") + 1]
    assert [gap.end_ns for gap in gaps] == ends
    assert [gap.is_long for gap in gaps] == [True, True, False]


def test_a_lost_block_of_gaps_is_reported_or_raised() -> None:
    one = OneFleet()
    one.hear("10:00:00", "10:30:00")
    one.checkpoint()
    ((day, (file,)),) = one.history.manifest.gaps.items()
    one.lose(file)
    view = one.view(one.at("10:00:00"))
    missing: list[Missing] = []
    assert sum(map(len, ended_gaps(view, start_ns=0, missing=missing))) == 0
    assert [span.start for span in missing] == [format_rfc3339(day * NS_PER_DAY)]
    with pytest.raises(DamagedData):
        list(ended_gaps(view, start_ns=0))


def test_days_of_gaps_that_retention_has_deleted_are_missing_where_the_window_may_need_them() -> None:
    one = OneFleet()
    one.hear("10:00:00", "10:30:00")
    one.checkpoint()
    today = one.now // NS_PER_DAY
    one.history.manifest = replace(one.history.manifest, expired={GAPS: {today - 9: 5, today - 7: 0}, 0: {today: 1}})
    for start_day, expected in ((today - 20, 1), (today - 9, 1), (today - 7, 1), (today - 6, 0)):
        missing: list[Missing] = []
        start_ns = start_day * NS_PER_DAY
        gaps = list(ended_gaps(one.view(start_ns), start_ns=start_ns, missing=missing))
        assert (sum(map(len, gaps)), len(missing)) == (2, expected)
    list(ended_gaps(one.view(0), start_ns=0, missing=missing))
    assert [missing[0].start, missing[0].end] == [
        format_rfc3339((today - 9) * NS_PER_DAY),
        format_rfc3339((today - 6) * NS_PER_DAY),
    ]
    assert "retention" in missing[0].reason


def test_exclusions_are_looked_up_from_the_start_of_a_gap_but_not_for_ever() -> None:
    one = OneFleet()
    start_ns = one.at("12:00:00")
    one.hear("11:00:00")
    one.move("13:00:00")
    assert look_back_ns(one.view(start_ns), start_ns=start_ns) == one.at("11:00:00")
    one.hear("13:00:00")
    assert look_back_ns(one.view(start_ns), start_ns=start_ns) == one.at("11:00:00")
    assert look_back_ns(one.view(one.now), start_ns=one.at("13:00:00") + 1) == one.at("13:00:00")
    one.move("2028-05-11T00:00:00")
    late_ns = one.now - SECOND
    assert look_back_ns(one.view(late_ns), start_ns=late_ns) == late_ns - 400 * DAY_S * SECOND


def test_a_device_that_was_never_heard_needs_no_look_back() -> None:
    one = OneFleet()
    one.move("12:00:00")
    assert look_back_ns(one.view(one.now), start_ns=one.now) == one.now
