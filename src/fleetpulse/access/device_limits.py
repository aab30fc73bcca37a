"""The rate limits of devices: two lanes for each, of which the one for backlogs never takes from that for beats.

    beats      what a device reports of now
    backlog    reports with a `sent_at` older than `backlog_after_s`, and lines of bulk bodies

A report is charged to the lane where it belongs once its time is known, so after its body is read. A device of which
both lanes are used up is remembered, and its further reports are refused unread until it has rested. A report that is
refused for what is in it is charged too, to the beats, or to the backlogs where these are used up.

Each lane has one number for each device, as `rate.py` explains: 18 bytes a device. Nothing here survives a restart,
after which every device is rested.
"""

import contextlib
import time
from array import array
from collections.abc import Callable
from typing import NamedTuple

from fleetpulse.access.rate import Rate
from fleetpulse.access.refused_rate import too_many
from fleetpulse.access_errors import TooManyRequests

BULK_LINE_COST = 0.1
"""What a line of a bulk body costs, in reports: it takes the service a tenth of the work."""
_UNKNOWN = 0
"""The class of devices whose rates are yet to be found."""
_NOTHING = Rate(1.0, -1_000_000_000)
"""The rate of that class. Nothing passes with its tolerance, not even of a rested device."""


class Lanes(NamedTuple):
    """The rates of a class of devices."""

    beats: Rate
    backlog: Rate


class DeviceLimits:
    """Used on the event loop only. Devices are numbers.

    Attributes:
        backlog_before_ns: a report with an earlier sent_at is a backlog; the node moves it on with the clock.
        spent: devices of which both lanes were used up; `check` says whether they still are.
    """

    def __init__(self, lanes_of: Callable[[int], Lanes], *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """`lanes_of`: the rates of a device; it is asked at the first report, and again after `forget_classes`."""
        self.backlog_before_ns = 0
        self.spent: set[int] = set()
        self.monotonic_s = monotonic_s
        self._lanes_of = lanes_of
        self._classes: list[Lanes] = []
        self._class_of: dict[Lanes, int] = {}
        self._beat_terms: list[tuple[float, float]] = []
        self._backlog_terms: list[tuple[float, float]] = []
        """By class: the interval and the tolerance of a lane, in seconds."""
        self._add_class(Lanes(_NOTHING, _NOTHING))
        self._class = array("H")
        self._beats = array("d")
        self._backlog = array("d")

    def forget_classes(self) -> None:
        """Find the class of each device again: what is declared of devices has changed."""
        self._class = array("H", bytes(2 * len(self._class)))

    def charge(self, device: int, sent_at_ns: int) -> None:
        """Charge a report to the lane where it belongs. Raises: TooManyRequests: that lane is used up."""
        now_s = self.monotonic_s()
        if sent_at_ns < self.backlog_before_ns:
            lane, terms = self._backlog, self._backlog_terms
        else:
            lane, terms = self._beats, self._beat_terms
        try:
            next_s = lane[device]
            interval_s, tolerance_s = terms[self._class[device]]
        except IndexError:
            self._grow(device)
            return self.charge(device, sent_at_ns)
        latest_s = now_s + tolerance_s
        if next_s > latest_s:
            return self._refuse(device, sent_at_ns, now_s)
        if next_s > now_s:  # a call of max() would take longer
            lane[device] = next_s = next_s + interval_s
        else:
            lane[device] = next_s = now_s + interval_s
        if next_s > latest_s and self._is_spent(device, now_s):
            self.spent.add(device)
        return None

    def _refuse(self, device: int, sent_at_ns: int, now_s: float) -> None:
        if self._class[device] == _UNKNOWN:
            self._find_class(device)
            return self.charge(device, sent_at_ns)
        if self._is_spent(device, now_s):  # a bulk body may have used up the other lane since
            self.spent.add(device)
        if sent_at_ns < self.backlog_before_ns:
            raise self._refusal_of_backlog(device, now_s)
        raise self._refusal_of_beats(device, now_s)

    def _is_spent(self, device: int, now_s: float) -> bool:
        place = self._class[device]
        return (
            self._beats[device] > now_s + self._beat_terms[place][1]
            and self._backlog[device] > now_s + self._backlog_terms[place][1]
        )

    def check(self, device: int) -> None:
        """Before a body of a device in `spent` is read. Raises: TooManyRequests: both lanes are still used up."""
        now_s = self.monotonic_s()
        if self._class[device] == _UNKNOWN:
            self._find_class(device)
        if self._is_spent(device, now_s):
            raise self._refusal_of_beats(device, now_s)
        self.spent.discard(device)

    def charge_beat(self, device: int) -> None:
        """Charge something else than a report to the beats. Raises: TooManyRequests: they are used up."""
        self.charge(device, self.backlog_before_ns)

    def charge_refused(self, device: int) -> None:
        """Charge a report that was refused for what is in it, to the lane that has something left."""
        try:
            self.charge_beat(device)
        except TooManyRequests:
            with contextlib.suppress(TooManyRequests):
                self.charge(device, self.backlog_before_ns - 1)

    def check_bulk(self, device: int) -> None:
        """Raises: TooManyRequests: no bulk body of this device is taken now."""
        now_s = self.monotonic_s()
        if device >= len(self._class):
            self._grow(device)
        if self._class[device] == _UNKNOWN:
            self._find_class(device)
        if self._backlog[device] > now_s + self._backlog_terms[self._class[device]][1]:
            raise self._refusal_of_backlog(device, now_s)

    def charge_bulk(self, device: int, lines: int) -> None:
        """Charge the lines of a bulk body that `check_bulk` let in, although there may be more than are left.

        It is taken whole, however large it is: what is owed makes the device wait before the next one.
        """
        interval_s = self._backlog_terms[self._class[device] or self._find_class(device)][0]
        next_s = max(self._backlog[device], self.monotonic_s())
        self._backlog[device] = next_s + lines * BULK_LINE_COST * interval_s

    def _refusal_of_backlog(self, device: int, now_s: float) -> TooManyRequests:
        rate = self._classes[self._class[device]].backlog
        text = (
            f"this device sends old reports and bulk lines faster than {rate.text}; its current reports are still taken"
        )
        return too_many("backlog_rate", text, rate, next_s=self._backlog[device], now_s=now_s)

    def _refusal_of_beats(self, device: int, now_s: float) -> TooManyRequests:
        rate = self._classes[self._class[device]].beats
        text = f"this device reports faster than {rate.text}"
        return too_many("device_rate", text, rate, next_s=self._beats[device], now_s=now_s)

    def _find_class(self, device: int) -> int:
        lanes = self._lanes_of(device)
        found = self._class[device] = self._class_of.get(lanes) or self._add_class(lanes)
        return found

    def _add_class(self, lanes: Lanes) -> int:
        self._classes.append(lanes)
        self._beat_terms.append((lanes.beats.interval_s, lanes.beats.tolerance_s))
        self._backlog_terms.append((lanes.backlog.interval_s, lanes.backlog.tolerance_s))
        self._class_of[lanes] = len(self._classes) - 1
        return self._class_of[lanes]

    def _grow(self, device: int) -> None:
        if device < 0:
            raise IndexError(device)
        more = device + 1 - len(self._beats)
        self._beats.frombytes(bytes(8 * more))
        self._backlog.frombytes(bytes(8 * more))
        self._class.frombytes(bytes(2 * more))
