import numpy as np

from fleetpulse.live.beat_gaps import LiveBeats
from fleetpulse.live.forget_beats import forget_backfill, forget_beats
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans


def spans(*rows: tuple[int, int, int]) -> DeviceSpans:
    devices, starts, ends = np.array(rows, np.int64).reshape(-1, 3).T
    return DeviceSpans(devices.astype(np.uint32), starts, ends)


def rows(pieces: list[DeviceSpans]) -> list[tuple[int, int, int]]:
    found = join_device_spans(pieces)
    return sorted(zip(found.devices.tolist(), found.start_ns.tolist(), found.end_ns.tolist(), strict=True))


def is_kept(_devices: object, start_ns: np.ndarray, end_ns: np.ndarray) -> np.ndarray:
    return end_ns - start_ns > 10


def beats() -> list[LiveBeats]:
    """What a checkpoint is writing, and what came since: late beats at 120 and from 150 to 160 in a gap of before."""
    closing, live = LiveBeats(reserve=0), LiveBeats(reserve=0)
    closing.gaps.append(spans((0, 100, 200), (1, 100, 200)))
    closing.backfill.append(spans((0, 120, 120), (1, 120, 120)))
    live.early_gaps.append(spans((0, 20, 70), (1, 20, 70)))
    live.covers.join(spans((0, 150, 160), (1, 150, 160)), is_kept)
    return [closing, live]


def test_gaps_that_begin_before_the_time_leave_the_parts_that_late_beats_begin_after_it() -> None:
    closing, live = beats()
    assert forget_beats([closing, live], 0, before_ns=130, is_kept=is_kept) == 150
    assert rows(closing.gaps) == [(0, 160, 200), (1, 100, 200)]
    assert rows(live.early_gaps) == [(1, 20, 70)]
    forget_backfill([closing, live], 0, first_ns=150)
    assert rows(closing.backfill) == [(1, 120, 120)]
    assert rows(live.all_backfill(range(2))) == [(0, 150, 160), (1, 150, 160)]


def test_inside_of_backfill_the_first_beat_that_stays_is_not_known() -> None:
    closing, live = beats()
    assert forget_beats([closing, live], 0, before_ns=155, is_kept=is_kept) is None
    assert rows(closing.gaps) == [(0, 160, 200), (1, 100, 200)]
    forget_backfill([closing, live], 0, first_ns=157)
    assert rows(live.all_backfill(range(2))) == [(0, 157, 160), (1, 150, 160)]
