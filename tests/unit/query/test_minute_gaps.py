"""Gaps that minutes of presence tell, in blocks and in memory, are those of a plain set of minutes."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from examples import examples
from fleetpulse.errors import DamagedData
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_MINUTE
from fleetpulse.query.minute_gaps import DAYS_OF_ONE, days_around, exact_from_ns, minute_gaps_of
from fleetpulse.query.view import FleetView
from one_fleet import OneFleet

FIRST_DAY, DAYS, DEVICES = 20_570, 14, 2
FIRST_NS = FIRST_DAY * NS_PER_DAY
Gap = tuple[int, int, int]
BEATS = st.lists(
    st.tuples(
        st.integers(0, DEVICES - 1), st.integers(0, DAYS - 1), st.sampled_from([0, 700, 1439]) | st.integers(0, 1439)
    ),
    max_size=14,
)


class OldFolder:
    """A fleet whose history was written before gaps between beats were stored."""

    def __init__(self, beats: list[tuple[int, int, int]], *, exact_from: int) -> None:
        """`exact_from`: a minute since the first day, as all minutes here."""
        self.one = OneFleet(devices=DEVICES)
        self.minutes = sorted({(device, day * MINUTES_PER_DAY + minute) for device, day, minute in beats})
        self.exact_from = exact_from
        for day in range(DAYS):
            for device, minute in self.minutes:
                if minute // MINUTES_PER_DAY == day:
                    self.one.now = FIRST_NS + minute * NS_PER_MINUTE + 5
                    self.one.beat_at(self.one.now, device)
            self.one.now = FIRST_NS + (day + 1) * NS_PER_DAY - 1
            self.one.fleet.advance(self.one.now)
            if day % 3 == 2:
                self.one.checkpoint()
        history = self.one.history
        history.manifest = replace(history.manifest, beats_exact_from_ns=FIRST_NS + exact_from * NS_PER_MINUTE - 7)

    def views(self, start: int) -> list[FleetView]:
        start_ns = FIRST_NS + start * NS_PER_MINUTE
        return [self.one.fleet_view(start_ns), *(self.one.view(start_ns, device) for device in range(DEVICES))]

    def found(self, view: FleetView, start: int, until: int, limits: list[int]) -> list[Gap]:
        """(device, start, end) of the gaps in minutes since the first day."""
        limit_ns = np.array(limits, np.int64)[list(view.live.devices)] * NS_PER_MINUTE
        window = (FIRST_NS + start * NS_PER_MINUTE, FIRST_NS + until * NS_PER_MINUTE)
        return sorted(
            (device, (start_ns - FIRST_NS) // NS_PER_MINUTE, (end_ns - FIRST_NS) // NS_PER_MINUTE)
            for gaps in minute_gaps_of(view, *window, limit_ns)
            for device, start_ns, end_ns in zip(
                gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True
            )
        )

    def expected(self, devices: range, start: int, until: int, limits: list[int], around: int) -> list[Gap]:
        """The same by the set of minutes."""
        until = min(until, self.exact_from)
        if start >= until:
            return []
        first = (start // MINUTES_PER_DAY - around) * MINUTES_PER_DAY
        end = min(((until - 1) // MINUTES_PER_DAY + around + 1) * MINUTES_PER_DAY, self.exact_from)
        gaps: list[Gap] = []
        for device in devices:
            minutes = [minute for number, minute in self.minutes if number == device]
            if not minutes:
                continue
            edges = [first - 1] * (minutes[0] < first) + [minute for minute in minutes if first <= minute < end]
            edges += [end] * (end < self.exact_from and bool(edges))
            gaps += [(device, one + 1, other) for one, other in pairwise(edges)]
        return [gap for gap in gaps if gap[2] - gap[1] > limits[gap[0]] and gap[2] > start and gap[1] < until]


@settings(max_examples=examples(60), deadline=None)
@given(
    BEATS,
    st.integers(1, DAYS * MINUTES_PER_DAY),
    st.tuples(st.integers(0, DAYS * MINUTES_PER_DAY), st.integers(0, DAYS * MINUTES_PER_DAY)),
    st.lists(st.sampled_from([1, 90, 2_000]), min_size=DEVICES, max_size=DEVICES),
)
def test_gaps_of_any_window_are_those_of_the_minutes(
    beats: list[tuple[int, int, int]], exact_from: int, window: tuple[int, int], limits: list[int]
) -> None:
    folder = OldFolder(beats, exact_from=exact_from)
    start, until = sorted(window)
    for view in folder.views(start):
        around = days_around(view, np.array(limits) * NS_PER_MINUTE)
        expected = folder.expected(range(view.live.devices.start, view.live.devices.stop), start, until, limits, around)
        assert folder.found(view, start, until, limits) == expected


def test_one_device_is_looked_for_longer_than_many() -> None:
    folder = OldFolder([(0, 0, 5), (0, 12, 7), (1, 12, 7)], exact_from=DAYS * MINUTES_PER_DAY)
    start, until = 10 * MINUTES_PER_DAY, 13 * MINUTES_PER_DAY
    of_all, of_one, of_other = (folder.found(view, start, until, [1, 1]) for view in folder.views(start))
    end = 12 * MINUTES_PER_DAY + 7
    assert of_one == [(0, 6, end)]
    assert of_other == []  # it was first seen at the end of it
    assert of_all == [(0, 7 * MINUTES_PER_DAY, end)]
    assert (days_around(folder.views(start)[1], np.zeros(1, np.int64)), DAYS_OF_ONE) == (40, 40)


def test_a_day_that_cannot_be_read_makes_no_gap() -> None:
    folder = OldFolder([(0, 1, 5), (0, 2, 5), (0, 3, 5), (1, 2, 5)], exact_from=DAYS * MINUTES_PER_DAY)
    folder.one.lose(folder.one.history.manifest.presence[FIRST_DAY + 2])
    start_ns, limit_ns = FIRST_NS + NS_PER_DAY, np.full(2, NS_PER_MINUTE)
    view = folder.one.fleet_view(start_ns)
    lost: list[int] = []
    pieces = list(
        minute_gaps_of(
            view, start_ns, start_ns + 3 * NS_PER_DAY, limit_ns, on_damage=lambda day, _: lost.append(day - FIRST_DAY)
        )
    )
    found = [
        (device, (start_ns - FIRST_NS) // NS_PER_MINUTE, (end_ns - FIRST_NS) // NS_PER_MINUTE)
        for gaps in pieces
        for device, start_ns, end_ns in zip(
            gaps.devices.tolist(), gaps.start_ns.tolist(), gaps.end_ns.tolist(), strict=True
        )
    ]
    day = MINUTES_PER_DAY
    assert lost == [2]
    assert found == [(0, day + 6, 2 * day), (0, 3 * day, 3 * day + 5), (0, 3 * day + 6, 7 * day), (1, 3 * day, 7 * day)]
    with pytest.raises(DamagedData):
        list(minute_gaps_of(view, start_ns, start_ns + 3 * NS_PER_DAY, limit_ns))


def test_new_folders_have_none() -> None:
    folder = OldFolder([(0, 0, 5), (0, 12, 7)], exact_from=DAYS * MINUTES_PER_DAY)
    manifest = folder.one.history.manifest = replace(folder.one.history.manifest, beats_exact_from_ns=0)
    assert exact_from_ns(manifest) == 0
    assert folder.found(folder.views(0)[0], 0, DAYS * MINUTES_PER_DAY, [1, 1]) == []
