from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.live.figures import NO_MINUTE_FIRST, NO_MINUTE_LAST, DeviceFigures
from fleetpulse.live.fleet import Fleet
from fleetpulse.model.events import EventBatch, EventColumns
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.policy_history import always
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.server_clock import NO_LEAPS
from fleetpulse.model.units import MINUTES_PER_DAY, NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_S

TODAY = 20_000
NOON_NS = TODAY * NS_PER_DAY + NS_PER_DAY // 2
NOON_MINUTE = NOON_NS // NS_PER_MINUTE


def fleet_of(devices: int = 3) -> Fleet:
    fleet = Fleet(policy=HeartbeatPolicy(60, 240))
    fleet.resize(devices)
    fleet.advance(NOON_NS)
    return fleet


def beat(device: int, sent_at_ns: int, *, received_at_ns: int | None = None) -> EventColumns:
    batch = EventBatch(received_at_ns=sent_at_ns if received_at_ns is None else received_at_ns)
    batch.heartbeat_devices.append(device)
    batch.heartbeat_sent_at_ns.append(sent_at_ns)
    return EventColumns.of(batch)


def sample(device: int, value: int, *, metric: int = 0, received_at_ns: int = NOON_NS) -> EventColumns:
    batch = EventBatch(received_at_ns=received_at_ns)
    batch.sample_devices.append(device)
    batch.sample_sent_at_ns.append(received_at_ns)
    batch.sample_values.append(value)
    batch.sample_metrics.append(metric)
    return EventColumns.of(batch)


def gaps(fleet: Fleet) -> list[tuple[int, int, int]]:
    """(device, start, end) of all reception gaps, in seconds after noon; 0 in the place of never stays 0."""
    rows = [row for piece in fleet.gaps for row in zip(piece.devices, piece.start_ns, piece.end_ns, strict=True)]
    return [
        (int(device), int(start and (start - NOON_NS) // NS_PER_S), int(end - NOON_NS) // NS_PER_S)
        for device, start, end in rows
    ]


def test_a_device_that_was_never_heard_has_no_figures() -> None:
    assert fleet_of().figures(0, known={}) == DeviceFigures(0, NO_MINUTE_FIRST, NO_MINUTE_LAST, 0, 0, 0, 0)


def test_the_sum_of_64_bit_values_is_exact() -> None:
    fleet = fleet_of()
    uploads = [sample(1, 2**63 - 1, received_at_ns=NOON_NS + second * NS_PER_S) for second in range(5)]
    fleet.apply([*uploads, sample(1, 7, metric=2)])
    figures = fleet.figures(1, known={})
    assert (figures.samples, figures.uploads, figures.upload_time_total) == (6, 5, 5 * (2**63 - 1))


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(-3 * MINUTES_PER_DAY, MINUTES_PER_DAY)), max_size=30),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_presence_does_not_depend_on_the_division_into_batches_and_calls(
    beats: list[tuple[int, int]], cuts: list[int]
) -> None:
    fleet = fleet_of()
    batches = [beat(device, NOON_NS + minute * NS_PER_MINUTE, received_at_ns=NOON_NS) for device, minute in beats]
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(batches)], strict=True):
        fleet.apply(batches[start:end])
    for device in range(3):
        minutes = {NOON_MINUTE + minute for number, minute in beats if number == device}
        figures = fleet.figures(device, known={})
        assert (figures.minutes_present, figures.heartbeats) == (
            len(minutes),
            sum(number == device for number, _ in beats),
        )
        if minutes:
            assert (figures.first_minute, figures.last_minute) == (min(minutes), max(minutes))


def test_a_report_of_metrics_marks_presence_as_a_heartbeat_does_and_counts_as_none() -> None:
    fleet = fleet_of()
    minutes = (0, 0, 3, -3 * MINUTES_PER_DAY)
    reports = [sample(0, 1, metric=2, received_at_ns=NOON_NS + minute * NS_PER_MINUTE) for minute in minutes]
    fleet.apply([*reports, sample(0, 1, received_at_ns=NOON_NS + 9 * NS_PER_MINUTE)])
    figures = fleet.figures(0, known={})
    assert (figures.minutes_present, figures.heartbeats, figures.samples) == (3, 0, 5)
    assert (figures.first_minute, figures.last_minute) == (NOON_MINUTE - 3 * MINUTES_PER_DAY, NOON_MINUTE + 3)


def test_a_report_of_an_entry_of_before_marks_no_presence_beside_one_that_does() -> None:
    fleet = fleet_of()
    earlier = replace(sample(0, 1, metric=2), do_reports_mark=False)
    fleet.apply([earlier, sample(1, 1, metric=2), replace(sample(2, 1, metric=2), do_reports_mark=False)])
    assert [fleet.figures(device, known={}).minutes_present for device in range(3)] == [0, 1, 0]


def test_a_reception_gap_is_longer_than_an_interval_and_a_half_and_ends_by_a_heartbeat_or_a_sample() -> None:
    fleet = fleet_of()
    at = [NOON_NS + second * NS_PER_S for second in (0, 90, 181, 300)]
    fleet.apply([beat(0, at[0]), beat(0, at[1])])
    assert gaps(fleet) == [(0, 0, 0)]
    fleet.apply([beat(0, at[2]), sample(0, 1, received_at_ns=at[3])])
    assert gaps(fleet) == [(0, 0, 0), (0, 90, 181), (0, 181, 300)]
    assert fleet.up_since_ns[0] == at[3]


def test_gaps_between_receptions_are_the_same_in_one_call_and_in_many() -> None:
    seconds = [0, 100, 130, 400, 401, 700]
    batches = [beat(second % 2, NOON_NS + second * NS_PER_S) for second in seconds]
    together, one_by_one = fleet_of(), fleet_of()
    together.apply(batches)
    for batch in batches:
        one_by_one.apply([batch])
    assert sorted(gaps(together)) == sorted(gaps(one_by_one))


def test_a_gap_keeps_the_policy_in_force_when_it_ended() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS)])
    fleet.set_policy(0, always(HeartbeatPolicy(10, 20)))
    fleet.apply([beat(0, NOON_NS + 16 * NS_PER_S)])
    assert [fleet.policies_of(device)[-1].policy.interval_s for device in (0, 1)] == [10, 60]
    (gaps,) = fleet.gaps
    assert (gaps.interval_s.tolist()[-1], gaps.grace_s.tolist()[-1]) == (10, 20)


def ends(pieces: Sequence[ReceptionGapColumns]) -> list[int]:
    return [end_ns for piece in pieces for end_ns in piece.end_ns.tolist()]


def correction(since_ns: int, at_ns: int) -> EventColumns:
    batch = EventBatch(received_at_ns=at_ns)
    batch.correction_ns.extend((since_ns, at_ns))
    return EventColumns.of(batch)


@pytest.mark.parametrize("is_one_call", [True, False])
def test_an_entry_that_steps_back_as_older_versions_wrote_them_changes_nothing_from_before(is_one_call: bool) -> None:
    ahead_ns = NOON_NS + 3_600 * NS_PER_S
    batches = [beat(0, NOON_NS), beat(0, ahead_ns), beat(1, NOON_NS, received_at_ns=NOON_NS + 600 * NS_PER_S)]
    fleet = fleet_of()
    for call in [batches] if is_one_call else [[batch] for batch in batches]:
        fleet.apply(call)
    assert fleet.alive_at_ns == ahead_ns
    assert fleet.last_received_ns[:2].tolist() == [ahead_ns, ahead_ns]
    assert sorted(gaps(fleet)) == [(0, 0, 0), (0, 0, 3_600), (1, 0, 3_600)]


@pytest.mark.parametrize("is_one_call", [True, False])
def test_a_correction_takes_what_came_in_under_a_wrong_clock_as_received_now(is_one_call: bool) -> None:
    fleet = fleet_of()
    leap = EventBatch(received_at_ns=NOON_NS + 3_610 * NS_PER_S)
    leap.blind_ns.extend((NOON_NS + 10 * NS_PER_S, leap.received_at_ns))
    leap.leap_ns.extend((NOON_NS + 10 * NS_PER_S, leap.received_at_ns))
    batches = [
        beat(0, NOON_NS),
        EventColumns.of(leap),
        beat(0, NOON_NS + 3_620 * NS_PER_S),
        beat(0, NOON_NS + 3_800 * NS_PER_S),
        correction(NOON_NS + 10 * NS_PER_S, NOON_NS + 700 * NS_PER_S),
        beat(1, NOON_NS, received_at_ns=NOON_NS + 710 * NS_PER_S),
    ]
    for call in [batches] if is_one_call else [[batch] for batch in batches]:
        fleet.apply(call)
    assert fleet.alive_at_ns == NOON_NS + 710 * NS_PER_S
    assert fleet.last_received_ns[0] == fleet.up_since_ns[0] == NOON_NS + 700 * NS_PER_S
    assert fleet.blind_ns == [(NOON_NS + 10 * NS_PER_S, NOON_NS + 700 * NS_PER_S)]
    assert sorted(gaps(fleet)) == [(0, 0, 0), (0, 0, 700), (1, 0, 710)]
    assert fleet.leaps.end_ns == 0
    assert fleet.figures(0, known={}).heartbeats == 3


def test_a_correction_during_a_checkpoint_holds_for_what_is_written_then() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS), beat(0, NOON_NS + 3_600 * NS_PER_S)])
    frozen = fleet.freeze().complete()
    fleet.apply([correction(NOON_NS, NOON_NS + 10 * NS_PER_S)])
    live = fleet.view(range(1), from_day=0)
    assert ends(live.gaps) == [NOON_NS, NOON_NS + 10 * NS_PER_S]
    assert ends(frozen.closing.gaps) == [NOON_NS, NOON_NS + 3_600 * NS_PER_S]
    again = fleet.freeze().complete()  # the first checkpoint failed
    assert ends(again.closing.gaps) == [NOON_NS, NOON_NS + 10 * NS_PER_S]
    assert again.closing.corrections == [(NOON_NS, NOON_NS + 10 * NS_PER_S)]
    assert fleet.view(range(1), from_day=0).corrections == again.closing.corrections
    fleet.finish_closing(np.zeros(3, np.int32))
    assert fleet.view(range(1), from_day=0).corrections == []


def test_blind_time_is_kept_as_spans() -> None:
    fleet = fleet_of()
    batch = EventBatch(received_at_ns=NOON_NS)
    batch.blind_ns.extend((1, 5, 7, 9))
    fleet.apply([EventColumns.of(batch)])
    assert (fleet.blind_ns, fleet.alive_at_ns) == ([(1, 5), (7, 9)], NOON_NS)


def test_a_fleet_that_grows_keeps_what_it_holds() -> None:
    fleet = fleet_of(1)
    fleet.set_policy(0, always(HeartbeatPolicy(10, 20)))
    fleet.apply([beat(0, NOON_NS), sample(0, 7)])
    before = fleet.figures(0, known={})
    fleet.resize(5_000)
    fleet.apply([beat(4_999, NOON_NS)])
    assert (fleet.figures(0, known={}), fleet.policies_of(0)) == (before, always(HeartbeatPolicy(10, 20)))
    assert fleet.figures(4_999, known={}).minutes_present == 1
    assert fleet.figures(3, known={}).first_minute == NO_MINUTE_FIRST


def test_a_checkpoint_takes_closed_days_late_data_samples_and_gaps_and_they_still_count() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS), beat(1, NOON_NS - 5 * NS_PER_DAY, received_at_ns=NOON_NS), sample(0, 7)])
    fleet.advance(NOON_NS + 2 * NS_PER_DAY)
    before = [fleet.figures(device, known={}) for device in range(3)]
    frozen = fleet.freeze().complete()
    assert frozen.closing.days == [TODAY - 5, TODAY]
    assert sorted(frozen.open_dense) == [TODAY + 2]
    assert (len(frozen.closing.samples), fleet.samples.count, fleet.gaps) == (1, 0, [])
    assert [fleet.figures(device, known={}) for device in range(3)] == before
    fleet.finish_closing(np.array([1, 1, 0], np.int32))
    assert [fleet.figures(device, known={}) for device in range(3)] == before
    assert not {TODAY - 5, TODAY} & set(fleet.touched_days(0))


def test_exact_columns_of_a_checkpoint_do_not_change_with_the_fleet() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS), sample(0, 7)])
    frozen = fleet.freeze().complete()
    fleet.apply([beat(0, NOON_NS + NS_PER_MINUTE), sample(0, 9)])
    for name, value in (("heartbeats", 1), ("uploads", 1), ("upload_low", 7), ("last_received_ns", NOON_NS)):
        assert frozen.columns[name].tolist()[0] == value, name


def test_a_checkpoint_that_failed_leaves_its_data_to_the_next() -> None:
    fleet = fleet_of()
    fleet.apply([sample(0, 7)])
    fleet.freeze().complete()
    fleet.apply([sample(0, 8, received_at_ns=NOON_NS + 1), sample(0, 9)])
    closing = fleet.freeze().complete().closing
    assert [piece.values.tolist() for piece in closing.samples] == [[7], [8]]
    assert [piece.values.tolist() for piece in closing.doubtful] == [[9]]


def test_an_upload_time_that_is_not_the_latest_counts_once_it_is_known_to_be_new() -> None:
    fleet = fleet_of()
    fleet.apply([sample(0, 7), sample(1, 9)])
    assert not fleet.has_doubtful_uploads(0)
    fleet.apply([sample(0, 8)])
    frozen = fleet.freeze().complete()
    assert (fleet.has_doubtful_uploads(0), fleet.has_doubtful_uploads(1)) == (True, False)
    figures = fleet.figures(0, known={})
    assert (figures.samples, figures.uploads, figures.upload_time_total) == (2, 1, 7)
    fleet.finish_closing(np.zeros(3, np.int32), frozen.closing.doubtful[0])
    figures = fleet.figures(0, known={})
    assert (figures.samples, figures.uploads, figures.upload_time_total) == (2, 2, 15)
    assert not fleet.has_doubtful_uploads(0)


def test_late_data_that_repeats_a_closed_day_counts_each_minute_once() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS)])
    fleet.advance(NOON_NS + 2 * NS_PER_DAY)
    fleet.freeze().complete()
    closed = {TODAY: fleet.closing.dense[TODAY].row(0)}
    fleet.finish_closing(np.array([1, 0, 0], np.int32))
    now_ns = NOON_NS + 2 * NS_PER_DAY
    fleet.apply([beat(0, NOON_NS, received_at_ns=now_ns), beat(0, NOON_NS + NS_PER_MINUTE, received_at_ns=now_ns)])
    assert (TODAY in fleet.touched_days(0), fleet.late_rows()) == (True, 1)
    assert fleet.figures(0, known=closed).minutes_present == 2


def test_a_snapshot_restores_columns_and_open_days() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS), beat(2, NOON_NS + 2 * NS_PER_DAY, received_at_ns=NOON_NS), sample(1, 7)])
    frozen = fleet.freeze().complete()
    restored = Fleet(policy=HeartbeatPolicy(60, 240))
    restored.restore(
        dict(frozen.columns),
        open_from_day=frozen.open_from_day,
        alive_at_ns=frozen.alive_at_ns,
        blind_ns=frozen.blind_ns,
        leaps=NO_LEAPS,
    )
    for day, rows in frozen.open_dense.items():
        restored.restore_presence(day, devices=np.arange(3, dtype=np.uint32), rows=rows[:3])
    for day in frozen.open_sparse.days:
        devices, rows = frozen.open_sparse.of(day).all_rows()
        restored.restore_presence(day, devices=devices, rows=rows)
    for device in range(3):
        assert restored.figures(device, known={}) == fleet.figures(device, known={})
    assert restored.alive_at_ns == NOON_NS


@pytest.mark.parametrize(("after_midnight_ns", "closed"), [(NS_PER_HOUR - 1, []), (NS_PER_HOUR, [TODAY - 1])])
def test_yesterday_is_closed_an_hour_after_midnight(after_midnight_ns: int, closed: list[int]) -> None:
    fleet = fleet_of()
    fleet.advance(TODAY * NS_PER_DAY + after_midnight_ns)  # open days never move back
    assert sorted(fleet.dense) == [TODAY]
    fleet = Fleet(policy=HeartbeatPolicy(60, 240))
    fleet.resize(1)
    fleet.advance(TODAY * NS_PER_DAY - 1)
    fleet.advance(TODAY * NS_PER_DAY + after_midnight_ns)
    assert sorted(fleet.dense) == [TODAY - 1, TODAY]
    assert fleet.freeze().complete().closing.days == closed


def test_two_days_that_an_older_version_had_open_are_open_until_the_next_checkpoint() -> None:
    fleet, one = Fleet(policy=HeartbeatPolicy(60, 240)), np.zeros(1, np.uint32)
    columns = {name: column.copy() for name, column in fleet_of(1).columns().items()}
    fleet.restore(columns, open_from_day=TODAY - 1, alive_at_ns=NOON_NS, blind_ns=[], leaps=NO_LEAPS)
    for day in (TODAY - 1, TODAY):
        fleet.restore_presence(day, devices=one, rows=np.ones((1, 23), np.uint64))
    fleet.advance(NOON_NS)
    assert (sorted(fleet.dense), fleet.sparse.days) == ([TODAY - 1, TODAY], [])
    assert fleet.figures(0, known={}).minutes_present == 46
    assert fleet.freeze().complete().closing.days == [TODAY - 1]


def test_a_view_does_not_change_with_the_fleet_and_holds_what_a_checkpoint_is_writing() -> None:
    fleet = fleet_of()
    fleet.apply([beat(0, NOON_NS), sample(0, 7)])
    fleet.advance(NOON_NS + 2 * NS_PER_DAY)
    fleet.freeze().complete()
    view = fleet.view(range(3), from_day=0)
    fleet.apply([beat(1, NOON_NS + 9 * NS_PER_DAY), sample(1, 9)])
    assert view.has_presence(TODAY)
    assert not view.has_presence(TODAY + 9)
    assert view.last_received_ns.tolist() == [NOON_NS, 0, 0]
    assert sum(len(piece) for piece in view.samples) == 1
