"""The gaps between the beats of devices, live and stored together, as a function of the set of beats."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from fleetpulse.aggregate.beat_gaps import divide, join_backfill
from fleetpulse.blocks.history import OnDamage
from fleetpulse.blocks.stored_beat_gaps import read_beat_gaps
from fleetpulse.model.device_spans import DeviceSpans, join_device_spans, sort_device_spans
from fleetpulse.model.manifest import BEAT_GAPS
from fleetpulse.model.units import NS_PER_DAY
from fleetpulse.notation.timestamp import format_rfc3339
from fleetpulse.query.answers import Missing
from fleetpulse.query.corrected_gaps import CorrectedGaps
from fleetpulse.query.minute_gaps import exact_from_ns, minute_gaps_of
from fleetpulse.query.missing import note_expired_gaps, note_missing_day
from fleetpulse.query.view import FleetView


def ended_beat_gaps(view: FleetView, *, start_ns: int, end_ns: int, missing: list[Missing]) -> Iterator[DeviceSpans]:
    """The gaps of the devices of a view that may touch [start_ns, end_ns), in pieces that are read one at a time.

    Some may be shorter than any gap, and count nothing. Where they were not stored, minutes of presence tell them.
    Args: missing: gets the days that cannot be read, and those that retention has deleted.
    """
    if not view.is_of_one:
        yield from _ended(view, start_ns, end_ns, missing)
        return
    is_exact = minutes_until_ns(view, start_ns=start_ns, end_ns=end_ns) is None
    key = "sent", start_ns, 0 if is_exact else end_ns  # only of minutes is no more read than the window needs
    if key not in view.known_gaps:
        lacking: list[Missing] = []
        view.known_gaps[key] = join_device_spans(list(_ended(view, start_ns, end_ns, lacking))), lacking
    gaps, lacking = view.known_gaps[key]
    missing += lacking
    yield gaps


def _ended(view: FleetView, start_ns: int, end_ns: int, missing: list[Missing]) -> Iterator[DeviceSpans]:
    note_expired_gaps(missing, view.manifest.expired, start_ns=start_ns, kind=BEAT_GAPS)
    on_damage = partial(note_missing_day, missing)
    exact_ns = exact_from_ns(view.manifest)
    corrected = CorrectedGaps(view, start_ns, end_ns, on_damage)
    for gaps in exact_beat_gaps(view, start_ns, on_damage):
        # A gap that ended before is one of those that minutes tell.
        known = gaps.where(np.flatnonzero((gaps.end_ns > start_ns) & (gaps.end_ns >= exact_ns)))
        corrected.see(known)
        yield known
    if start_ns < exact_ns:
        limit_ns = view.live.policy_table.shortest_ns[view.live.policy_codes]
        yield from minute_gaps_of(view, start_ns, end_ns, limit_ns, on_damage=on_damage)
    corrected.see(going_on(view))
    yield from corrected.found()


def minutes_until_ns(view: FleetView, *, start_ns: int, end_ns: int) -> int | None:
    """Until when gaps of devices in [start_ns, end_ns) are known by minutes alone; None: all are exact."""
    exact_ns = max(exact_from_ns(view.manifest), CorrectedGaps(view, start_ns, end_ns).exact_from_ns)
    return exact_ns if start_ns < exact_ns else None


def corrected_notes(view: FleetView, *, start_ns: int, end_ns: int) -> list[str]:
    """A note where a shorter policy was declared afterwards for a part of [start_ns, end_ns).

    Receptions of that time are known by the gaps of the longer one alone; there are no minutes of them.
    """
    until_ns = CorrectedGaps(view, start_ns, end_ns).exact_from_ns
    if until_ns <= start_ns:
        return []
    text = f"a shorter interval or grace was declared afterwards for a time before {format_rfc3339(until_ns)}"
    return [f"{text}: observed uptime and availability may be too high there, as shorter reception gaps were not kept"]


def exact_beat_gaps(view: FleetView, start_ns: int, on_damage: OnDamage) -> Iterator[DeviceSpans]:
    """The gaps that are stored or in memory, less what late beats cover; also of before `exact_from_ns`."""
    backfill = join_backfill(_of_view(view, view.live.backfill), view.is_kept)
    for gaps in read_beat_gaps(
        view.history,
        view.manifest,
        start_day=start_ns // NS_PER_DAY,
        end_day=2**31,
        devices=view.live.devices,
        backfill=backfill,
        on_damage=on_damage,
    ):
        view.budget.check()
        yield gaps
    yield divide(sort_device_spans(_of_view(view, view.live.beat_gaps)), backfill)


def going_on(view: FleetView) -> DeviceSpans:
    """The time since the last beat of each device that ever sent one, gap or not."""
    last_ns = view.live.last_sent_ns
    places = np.flatnonzero((view.live.first_sent_ns <= last_ns) & (last_ns < view.now_ns))
    numbers = (places + view.live.devices.start).astype(np.uint32)
    return DeviceSpans(numbers, last_ns[places], np.full(len(places), view.now_ns))


def _of_view(view: FleetView, pieces: Sequence[DeviceSpans]) -> DeviceSpans:
    devices = view.live.devices
    chosen = []
    for piece in pieces:
        view.budget.check()
        chosen.append(piece.where(np.flatnonzero((piece.devices >= devices.start) & (piece.devices < devices.stop))))
    return join_device_spans(chosen)
