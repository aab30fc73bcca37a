"""The live fleet: what is true now for every device, in numpy columns indexed by device number.

It is a pure function of the journal. Samples, reception gaps and the presence of closed days stay here until a
checkpoint has written them into blocks.

One thread applies and reads. The thread of a checkpoint may read the presence of open days while the first thread sets
bits in it. What it reads may then be newer than its journal position, which does no harm: replaying the journal
sets the same bits again. Sums and counts would be wrong after that, so they are copied when the checkpoint begins,
and meanwhile nothing is applied.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fleetpulse.aggregate.clock_correction import correct_blind, correct_gaps, correct_times
from fleetpulse.aggregate.presence import Rows, count_minutes
from fleetpulse.live.batches import Receptions, join_heartbeats, join_reported_samples, metrics_reports
from fleetpulse.live.figures import NO_MINUTE_FIRST, NO_MINUTE_LAST, ClosedRows, DeviceFigures, settle_uploads
from fleetpulse.live.forget import forget_all
from fleetpulse.live.frozen import ClosingData, Freezing, FrozenFleet
from fleetpulse.live.growth import capacity_for, empty_rows, grown, grown_rows, prepare
from fleetpulse.live.marks import mark_days
from fleetpulse.live.reception_gaps import add_gaps, gaps_between, gaps_under, join_pieces
from fleetpulse.live.reported_samples import SAMPLE_COLUMNS, ReportedSamples, has_uploads
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.live.view import LiveView, presence_from, rows_of
from fleetpulse.model.columns import join_columns
from fleetpulse.model.events import EventColumns
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns
from fleetpulse.model.server_clock import NO_LEAPS, ClockCorrection, KnownLeaps
from fleetpulse.model.units import NS_PER_MINUTE


class Fleet:
    """The columns, and the data of the days that no block holds yet. See the module for who may read what."""

    def __init__(self, *, policy: HeartbeatPolicy, reserve: int = 1024) -> None:
        """`policy` is the default heartbeat policy, of devices that have none of their own.

        With no more than `reserve` devices nothing is ever copied to make room.
        """
        self.count = 0
        self._reserve = reserve
        self.first_minute = np.full(0, NO_MINUTE_FIRST, np.int32)
        self.last_minute = np.full(0, NO_MINUTE_LAST, np.int32)
        self.last_received_ns = np.zeros(0, np.int64)
        self.up_since_ns = np.zeros(0, np.int64)
        self.closed_minutes = np.zeros(0, np.int32)
        self.heartbeats = np.zeros(0, np.uint32)
        self.uploads = np.zeros(0, np.int64)
        self.other_samples = np.zeros(0, np.int64)
        """Samples that `uploads` does not count: of other metrics, and repeated and doubtful upload times."""
        self.upload_high = np.zeros(0, np.int64)
        self.upload_low = np.zeros(0, np.int64)
        # The latest sent_at, of upload times and of all other metrics; see `live.reported_samples`.
        self.latest_upload_ns = np.zeros(0, np.int64)
        self.latest_sample_ns = np.zeros(0, np.int64)
        self.open_from_day = 0
        self.dense: dict[int, Rows] = {}
        self.sparse = SparsePresence()
        self.closing = ClosingData()
        self.samples = ReportedSamples()
        self.gaps: list[ReceptionGapColumns] = []
        self.forgotten: list[Forgotten] = []
        """What was forgotten here, and is removed from the blocks by the next checkpoint."""
        self.alive_at_ns = 0
        """The latest received_at of all entries, so the last moment at which the service is known to have run."""
        self.blind_ns: list[tuple[int, int]] = []
        """Spans [start, end) in which the service did not run, ascending."""
        self.corrections: list[ClockCorrection] = []  # of the reception gaps in `closing` and in blocks
        self.leaps = NO_LEAPS
        # A device has the index of its policy, since few policies differ: a column of zeros costs no memory.
        self.policies = [policy]
        self._codes = {policy: 0}
        self.policy_codes = np.zeros(0, np.uint16)
        self._late_after_ns = np.array([policy.late_after_ns], np.int64)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The columns of a snapshot by name, as views, each shape (count,) and of the dtype of a snapshot."""
        names: tuple[str, ...] = ("first_minute", "last_minute", "last_received_ns", "up_since_ns", "closed_minutes")
        names += ("heartbeats", "uploads", "other_samples", "upload_high", "upload_low")
        names += ("latest_upload_ns", "latest_sample_ns")
        return {name: getattr(self, name)[: self.count] for name in names}

    def resize(self, count: int) -> None:
        """Make room for devices 0 .. count - 1."""
        if count > len(self.first_minute):
            capacity = capacity_for(count, reserve=self._reserve)
            for name, column in self.columns().items():
                setattr(self, name, grown(column, capacity))
            self.dense = {day: grown_rows(rows, capacity) for day, rows in self.dense.items()}
            self.policy_codes = grown(self.policy_codes, capacity)
        if count > self.count:
            self.first_minute[self.count : count] = NO_MINUTE_FIRST
            self.last_minute[self.count : count] = NO_MINUTE_LAST
            self.count = count
            prepare(count, [*self.columns().values(), self.policy_codes, *self.dense.values()])

    def advance(self, today: int) -> None:
        """Make `today` and the day before it open days, with dense presence; the next checkpoint closes older days.

        Open days never move back. After a server clock that was ahead is corrected, heartbeats of the present fall
        before the open days: they are kept as sparse presence, which is slower but as exact. What came for a day before
        it was open stays sparse, too, until `SparsePresence.settle_into` has moved it.
        """
        self.open_from_day = max(self.open_from_day, today - 1)
        for day in (self.open_from_day, self.open_from_day + 1):
            if day not in self.dense:
                self.dense[day] = empty_rows(len(self.first_minute))
                prepare(self.count, [self.dense[day]])

    def set_policy(self, device: int, policy: HeartbeatPolicy) -> None:
        """Set the policy of a device. Raises: ValueError: there would be more than 65,536 different policies."""
        code = self._codes.get(policy)
        if code is None:
            code = len(self.policies)
            if code > np.iinfo(np.uint16).max:
                raise ValueError(f"there are {code} different pairs of interval and grace already; use one of them")
            self._codes[policy] = code
            self.policies.append(policy)
            self._late_after_ns = np.array([policy.late_after_ns for policy in self.policies], np.int64)
        self.policy_codes[device] = code

    def policy_of(self, device: int) -> HeartbeatPolicy:
        """The policy of a device."""
        return self.policies[int(self.policy_codes[device])]

    def apply(self, batches: Sequence[EventColumns]) -> None:
        """Apply batches in the order of the journal. A thousand small batches take little longer than a large one.

        What is counted by sent_at (presence, samples) is the same in any order of events and any division into batches.
        """
        start, floor_ns = 0, self.alive_at_ns
        for place, batch in enumerate(batches):
            if len(batch.correction_ns):
                self._apply_in_order(batches[start:place], floor_ns)
                self._correct(ClockCorrection(*batch.correction_ns.tolist()))
                start, floor_ns = place, self.alive_at_ns
            self.alive_at_ns = max(self.alive_at_ns, batch.received_at_ns)
            spans = batch.blind_ns.tolist()
            self.blind_ns += zip(spans[::2], spans[1::2], strict=True)
            if len(batch.leap_ns):
                self.leaps = self.leaps.and_one(*batch.leap_ns.tolist())
            if len(batch.forgotten):
                self._apply_in_order(batches[start : place + 1], floor_ns)
                start, floor_ns = place + 1, self.alive_at_ns
                self.forgotten += forget_all(self, batch)
        self._apply_in_order(batches[start:], floor_ns)

    def _correct(self, correction: ClockCorrection) -> None:
        """Put right what was received while the server's clock was ahead, and nothing from before."""
        self.leaps = KnownLeaps(min(self.leaps.last_at_ns, correction.at_ns))
        if self.alive_at_ns > correction.since_ns:
            correct_times(self.last_received_ns[: self.count], correction)
            correct_times(self.up_since_ns[: self.count], correction)
            self.gaps = [correct_gaps(piece, [correction]) for piece in self.gaps]
            self.corrections.append(correction)
            self.blind_ns = correct_blind(self.blind_ns, correction)
            self.alive_at_ns = correction.at_ns

    def _apply_in_order(self, batches: Sequence[EventColumns], floor_ns: int) -> None:
        receptions: list[Receptions] = []
        beating = [batch for batch in batches if len(batch.heartbeat_devices)]
        if beating:
            sent_at_ns, received = join_heartbeats(beating, floor_ns=floor_ns)
            np.add.at(self.heartbeats, received.devices, 1)
            self._mark_presence(received.devices, sent_at_ns)
            receptions.append(received)
        sampling = [batch for batch in batches if len(batch.sample_devices)]
        if sampling:
            samples, received = join_reported_samples(sampling, floor_ns=floor_ns)
            self.samples.apply(samples, {name: getattr(self, name) for name in SAMPLE_COLUMNS})
            self._mark_presence(*metrics_reports(samples, sampling))
            receptions.append(received)
        if receptions:
            # Heartbeats and samples together, since a sample between two heartbeats divides a reception gap.
            self._receive(join_columns(receptions, receptions[0]))

    def _receive(self, received: Receptions) -> None:
        """Advance `last_received_ns`, and keep the reception gaps that ended by it."""
        devices, at_ns = received.devices, received.at_ns
        if devices.max() >= self.count:  # the columns have room for it
            raise IndexError(f"the fleet has no device {devices.max()}")
        last_ns = self.last_received_ns[devices]
        newest_ns = int(at_ns.max())
        shortest_ns = int(self._late_after_ns.min())
        if newest_ns - int(last_ns.min()) > shortest_ns:
            # Sorting is dear, so only the receptions that can have ended a gap are sorted: as a rule few.
            chosen = np.flatnonzero(newest_ns - last_ns > shortest_ns)
            self._end_gaps(*gaps_between(devices[chosen], at_ns[chosen], before_ns=last_ns[chosen]))
        np.maximum.at(self.last_received_ns, devices, at_ns)

    def _end_gaps(self, devices: NDArray[np.uint32], start_ns: NDArray[np.int64], end_ns: NDArray[np.int64]) -> None:
        codes = self.policy_codes[devices]
        is_long = end_ns - start_ns > self._late_after_ns[codes]
        if is_long.any():
            gaps = gaps_under(self.policies, codes[is_long], devices[is_long], start_ns[is_long], end_ns[is_long])
            add_gaps(self.gaps, gaps)
            np.maximum.at(self.up_since_ns, gaps.devices, gaps.end_ns)

    def _mark_presence(self, devices: NDArray[np.uint32], sent_at_ns: NDArray[np.int64]) -> None:
        """Mark the minutes in which devices were running by their own clocks; `sent_at_ns`: shape (n,), of each."""
        if not len(devices):
            return
        minutes = sent_at_ns // NS_PER_MINUTE
        narrow = minutes.astype(np.int32)
        np.minimum.at(self.first_minute, devices, narrow)
        np.maximum.at(self.last_minute, devices, narrow)
        mark_days(devices, minutes, dense=self.dense, sparse=self.sparse)

    def figures(self, device: int, *, known: ClosedRows) -> DeviceFigures:
        """The lifetime figures of a device, without doubtful uploads. `known` must have the rows of `touched_days`."""
        return DeviceFigures(
            minutes_present=int(self.closed_minutes[device]) + self._uncounted_minutes(device, known),
            first_minute=int(self.first_minute[device]),
            last_minute=int(self.last_minute[device]),
            heartbeats=int(self.heartbeats[device]),
            samples=int(self.uploads[device]) + int(self.other_samples[device]),
            uploads=int(self.uploads[device]),
            upload_time_total=(int(self.upload_high[device]) << 32) + int(self.upload_low[device]),
        )

    def has_doubtful_uploads(self, device: int) -> bool:
        """Whether a device has sent upload times that have not been compared with earlier ones yet."""
        return has_uploads(self._doubtful(), device)

    def _doubtful(self) -> list[SampleColumns]:
        return [*self.closing.doubtful, *self.samples.doubtful.pieces()]

    def touched_days(self, device: int) -> list[int]:
        """Days (since 1970-01-01) with a row of this device in memory, which `closed_minutes` does not count."""
        return list(self._rows_of(device))

    def _rows_of(self, device: int) -> dict[int, Rows]:
        return rows_of(device, dense=(self.dense, self.closing.dense), sparse=(self.sparse, self.closing.sparse))

    def _uncounted_minutes(self, device: int, known: ClosedRows) -> int:
        """Minutes that `closed_minutes` does not count: of open days, of days being closed, and of late data."""
        rows = ((row, known.get(day)) for day, row in self._rows_of(device).items())
        return sum(int(count_minutes(row if closed is None else row & ~closed)) for row, closed in rows)

    def late_rows(self) -> int:
        """How many rows of late data there are, one for each device and day; the next checkpoint closes them."""
        return len(self.sparse) - self.sparse.rows_from(self.open_from_day)

    def view(self, devices: range, *, from_day: int) -> LiveView:
        """What a question may see of these devices, of their presence that of the day `from_day` and later."""
        part = slice(devices.start, devices.stop)
        dense, sparse = presence_from(
            from_day, devices, dense=(self.dense, self.closing.dense), sparse=(self.sparse, self.closing.sparse)
        )
        return LiveView(
            devices=devices,
            first_minute=self.first_minute[part].copy(),
            last_received_ns=self.last_received_ns[part].copy(),
            up_since_ns=self.up_since_ns[part].copy(),
            policy_codes=self.policy_codes[part].copy(),
            policies=list(self.policies),
            dense=dense,
            sparse=sparse,
            gaps=[*self._closing_gaps(), *self.gaps],
            corrections=[*self.closing.corrections, *self.corrections],
            samples=[*self.closing.samples, *self.samples.certain.pieces()],
            doubtful=self._doubtful(),
            blind_ns=list(self.blind_ns),
        )

    def freeze(self) -> Freezing:
        """Begin a checkpoint: move what it will write into blocks to `closing`, and begin to copy the exact columns.

        What a checkpoint that failed left in `closing` is written by this one.
        """
        closed_days = [day for day in self.dense if day < self.open_from_day]
        for day in closed_days:
            self.closing.dense[day] = self.dense.pop(day)
        for day in self.sparse.days:
            if day < self.open_from_day:
                self.closing.sparse.adopt(day, self.sparse.take(day))
        self.closing.samples += self.samples.certain.take()
        self.closing.doubtful += self.samples.doubtful.take()
        self.closing.gaps = join_pieces([*self._closing_gaps(), *self.gaps])
        self.closing.corrections += self.corrections
        self.gaps, self.corrections = [], []
        frozen = FrozenFleet(
            count=self.count,
            open_from_day=self.open_from_day,
            columns=self.columns(),
            open_dense=dict(self.dense),
            open_sparse=self.sparse.shared(),
            closing=self.closing,
            alive_at_ns=self.alive_at_ns,
            blind_ns=list(self.blind_ns),
            leaps=self.leaps,
            forgotten=list(self.forgotten),
        )
        return Freezing(frozen)

    def _closing_gaps(self) -> list[ReceptionGapColumns]:
        return [correct_gaps(piece, self.corrections) for piece in self.closing.gaps]

    def finish_closing(self, closed_minutes: NDArray[np.int32], new_uploads: SampleColumns = NO_SAMPLES) -> None:
        """End a checkpoint whose blocks the manifest names.

        Args:
            closed_minutes: with those of its blocks, int32, shape (n,).
            new_uploads: those of its doubtful upload times that repeat no other.
        """
        self.closed_minutes[: len(closed_minutes)] = closed_minutes
        settle_uploads(self.columns(), new_uploads)
        self.closing = ClosingData()
        self.forgotten = []

    def add_closed_minutes(self, devices: NDArray[np.uint32], minutes: NDArray[np.int32]) -> None:
        """Count minutes, int32, shape (n,), that have joined the blocks of closed days, by device, each once."""
        self.closed_minutes[devices] += minutes

    def restore(
        self,
        columns: dict[str, NDArray[np.generic]],
        *,
        open_from_day: int,
        alive_at_ns: int,
        blind_ns: Sequence[tuple[int, int]],
        leaps: KnownLeaps,
    ) -> None:
        """Load the columns of a snapshot, in its dtypes, shape (devices,). `restore_presence` loads its open days."""
        self.resize(len(columns["first_minute"]))
        for name, column in columns.items():
            if column.any():  # pages of zeros cost no memory until they are written to
                getattr(self, name)[: len(column)] = column
        self.open_from_day = open_from_day
        self.alive_at_ns = alive_at_ns
        self.blind_ns = list(blind_ns)
        self.leaps = leaps

    def restore_presence(self, day: int, *, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Load the presence of an open day: `devices` uint32, shape (n,), distinct; `rows` uint64, shape (n, 23)."""
        if day in self.dense or day in (self.open_from_day, self.open_from_day + 1):
            dense = self.dense.get(day)
            if dense is None:
                dense = self.dense[day] = empty_rows(len(self.first_minute))
            dense[devices] |= rows
        else:
            self.sparse.put(day, devices=devices, rows=rows)
