"""See also tests/property/test_beat_sets.py, which compares whole lives with the set of all beats."""

import numpy as np

from fleetpulse.aggregate.device_policies import DevicePolicies
from fleetpulse.aggregate.policy_table import PolicyTable
from fleetpulse.live.beat_gaps import BACKFILL_ROWS_MAX, LiveBeats, add_backfill, add_spans, settle
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS, DeviceSpans, join_device_spans
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import always
from fleetpulse.model.units import NS_PER_S

TABLE = PolicyTable.of([always(HeartbeatPolicy(60, 240))])
DEVICES = 5


class Beats:
    """The beats of a few devices with an interval of a minute; times in seconds."""

    def __init__(self) -> None:
        self.live = LiveBeats(reserve=DEVICES)
        self.policies = DevicePolicies(np.zeros(DEVICES, np.uint32), TABLE, TABLE.shortest_ns)
        self.columns = {
            "first_sent_ns": np.full(DEVICES, NO_FIRST_NS),
            "last_sent_ns": np.full(DEVICES, NO_LAST_NS),
            "gap_until_ns": np.zeros(DEVICES, np.int64),
        }

    def note(self, *seconds: int, device: int = 0) -> None:
        devices = np.full(len(seconds), device, np.uint32)
        at_ns = np.array(seconds, np.int64) * NS_PER_S
        self.live.note(devices, at_ns, columns=self.columns, policies=self.policies)

    def spans(self, pieces: list[DeviceSpans]) -> list[tuple[int, int]]:
        found = join_device_spans(pieces)
        return sorted(zip((found.start_ns // NS_PER_S).tolist(), (found.end_ns // NS_PER_S).tolist(), strict=True))

    @property
    def backfill(self) -> list[tuple[int, int]]:
        return self.spans(self.live.all_backfill(range(DEVICES)))

    def settled(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        closing = LiveBeats(reserve=0)
        closing.take_from(self.live)
        gaps, backfill = settle(closing, self.policies.is_kept)
        return self.spans([gaps]), self.spans([backfill])


def test_beats_in_order_leave_nothing_but_the_first_and_the_last() -> None:
    beats = Beats()
    for second in range(1_000, 2_000, 90):
        beats.note(second)
    beats.note(1_990, 1_990, 1_950)
    assert [column[0] // NS_PER_S for column in beats.columns.values()] == [1_000, 1_990, 0]
    assert (beats.live.all_gaps(), beats.backfill) == ([], [])


def test_a_gap_ends_by_a_later_beat_or_begins_by_an_earlier_one_and_a_late_beat_in_between_is_kept() -> None:
    beats = Beats()
    beats.note(1_000)
    beats.note(2_000)
    beats.note(500)
    assert beats.spans(beats.live.gaps) == [(1_000, 2_000)]
    assert beats.spans(beats.live.early_gaps) == [(500, 1_000)]
    beats.note(2_060)
    beats.note(2_030)  # in no gap, since it is after the latest
    beats.note(500)  # known already
    assert beats.backfill == []
    beats.note(1_500, 1_560, 1_700)
    assert beats.backfill == [(1_500, 1_560), (1_700, 1_700)]
    gaps = [(500, 1_000), (1_000, 1_500), (1_560, 1_700), (1_700, 2_000)]
    assert beats.settled() == (gaps, [])


def test_of_backfill_only_what_may_lie_in_a_gap_of_before_is_stored() -> None:
    beats = Beats()
    beats.note(1_000)
    beats.note(2_000)
    assert beats.settled() == ([(1_000, 2_000)], [])
    beats.note(3_000)
    beats.note(500)
    beats.note(700, 1_500, 2_500, 1_990)
    assert beats.settled() == (
        [(500, 700), (700, 1_000), (2_000, 2_500), (2_500, 3_000)],
        [(1_500, 1_500), (1_990, 1_990)],
    )


def test_a_backlog_that_is_sent_backwards_beat_by_beat_is_one_row() -> None:
    beats = Beats()
    beats.note(10)
    beats.note(3_000_000)
    for second in range(2_999_940, 2_880_000, -60):
        beats.note(second)
    assert beats.backfill == [(2_880_060, 2_999_940)]
    assert beats.live.backfill_rows == 0


def test_backfill_of_one_device_in_any_order_stays_in_few_rows_and_pieces() -> None:
    beats = Beats()
    beats.note(10)
    beats.note(3_000_000)
    seconds = np.random.default_rng(1).permutation(np.arange(600, 1_200_000, 60))
    for start in range(0, len(seconds), 100):
        beats.note(*seconds[start : start + 100].tolist())
    assert len(beats.live.backfill) < 16
    assert beats.settled()[0] == [(10, 600), (1_199_940, 3_000_000)]


def test_pieces_grow_up_to_a_length() -> None:
    policies = Beats().policies
    pieces: list[DeviceSpans] = []
    for number in range(600):
        at_ns = np.full(100, number * 1_000 * NS_PER_S)
        add_backfill(pieces, DeviceSpans(np.arange(100, dtype=np.uint32) % DEVICES, at_ns, at_ns), policies.is_kept)
    assert max(map(len, pieces)) <= 2 * BACKFILL_ROWS_MAX
    assert sum(map(len, pieces)) < 600 * 100
    gaps: list[DeviceSpans] = []
    for number in range(600):
        at_ns = np.full(100, number * 1_000 * NS_PER_S)
        add_spans(gaps, DeviceSpans(np.zeros(100, np.uint32), at_ns, at_ns + 1))
    assert (len(gaps) < 16, sum(map(len, gaps))) == (True, 60_000)
