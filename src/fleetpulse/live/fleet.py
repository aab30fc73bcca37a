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

from fleetpulse.aggregate.clock_correction import correct_gaps
from fleetpulse.aggregate.device_policies import DevicePolicies
from fleetpulse.aggregate.presence import Rows, count_minutes
from fleetpulse.live.batches import (
    Receptions,
    are_divided_alike,
    in_time,
    join_heartbeats,
    join_reported_samples,
    metrics_reports,
    quiet_before,
    samples_of,
)
from fleetpulse.live.beat_gaps import BEAT_COLUMNS, LiveBeats
from fleetpulse.live.correction import correct
from fleetpulse.live.figures import ClosedRows, DeviceFigures, minutes_between, settle_uploads
from fleetpulse.live.forget import forget_all
from fleetpulse.live.frozen import EXACT_COLUMNS, ClosingData, Freezing, FrozenFleet
from fleetpulse.live.growth import capacity_for, grown, prepare
from fleetpulse.live.hour_columns import HourColumns
from fleetpulse.live.marks import mark_days
from fleetpulse.live.policies import FleetPolicies
from fleetpulse.live.reception_gaps import add_gaps, join_pieces
from fleetpulse.live.reported_samples import SAMPLE_COLUMNS, ReportedSamples, has_uploads
from fleetpulse.live.sparse_presence import SparsePresence
from fleetpulse.live.view import LiveView, rows_of, view_of
from fleetpulse.model.columns import join_columns
from fleetpulse.model.device_spans import NO_FIRST_NS, NO_LAST_NS
from fleetpulse.model.events import EventColumns
from fleetpulse.model.forgotten import Forgotten
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import first_open_day
from fleetpulse.model.policy_history import PolicyHistory
from fleetpulse.model.reception_gaps import ReceptionGapColumns
from fleetpulse.model.samples import NO_SAMPLES, SampleColumns
from fleetpulse.model.server_clock import NO_LEAPS, ClockCorrection, KnownLeaps
from fleetpulse.model.units import NS_PER_DAY, NS_PER_MINUTE

ONE = np.uint32(1)  # of the dtype of the column that it is added to: numpy is thirty times slower where it converts


class Fleet:
    """The columns, and the data of the days that no block holds yet. See the module for who may read what."""

    def __init__(self, *, policy: HeartbeatPolicy, reserve: int = 1024) -> None:
        """`policy` is the default heartbeat policy, of devices that have none of their own.

        With no more than `reserve` devices nothing is ever copied to make room.
        """
        self.count, self.reserve = 0, reserve
        self.revision = 0  # another one wherever the fleet has changed since
        self.first_sent_ns = np.full(0, NO_FIRST_NS, np.int64)
        self.last_sent_ns = np.full(0, NO_LAST_NS, np.int64)
        self.gap_until_ns = np.zeros(0, np.int64)
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
        self.dense: dict[int, HourColumns] = {}
        self.sparse = SparsePresence()
        self.closing = ClosingData()
        self.samples = ReportedSamples()
        self.beats = LiveBeats(reserve=reserve)
        self.gaps: list[ReceptionGapColumns] = []
        self.forgotten: list[Forgotten] = []  # what was forgotten here; the next checkpoint removes it from the blocks
        self.first_kept_ns: dict[int, int] = {}
        """Of each device of `forgotten` the first beat that stayed; gaps in blocks that begin earlier do not count."""
        self.alive_at_ns = 0  # the latest received_at of all entries: the last moment at which the service surely ran
        self.blind_ns: list[tuple[int, int]] = []  # spans [start, end) in which the service did not run, ascending
        self.corrections: list[ClockCorrection] = []  # of the reception gaps in `closing` and in blocks
        self.leaps = NO_LEAPS
        self.catalog_version = 0  # the newest that an entry of a shared journal has named
        self.policies = FleetPolicies(policy)
        self.policy_codes = np.zeros(0, np.uint32)  # a column of zeros costs no memory

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """The columns of a snapshot by name, as views, each shape (count,) and of the dtype of a snapshot."""
        names: tuple[str, ...] = (*BEAT_COLUMNS, "last_received_ns", "up_since_ns", "closed_minutes")
        names += ("heartbeats", "uploads", "other_samples", "upload_high", "upload_low")
        names += ("latest_upload_ns", "latest_sample_ns")
        return {name: getattr(self, name)[: self.count] for name in names}

    def resize(self, count: int) -> None:
        """Make room for devices 0 .. count - 1."""
        if count > len(self.first_sent_ns):
            capacity = capacity_for(count, reserve=self.reserve)
            for name, column in self.columns().items():
                setattr(self, name, grown(column, capacity))
            self.dense = {day: hours.grown(capacity) for day, hours in self.dense.items()}
            self.policy_codes = grown(self.policy_codes, capacity)
        if count > self.count:
            self.first_sent_ns[self.count : count] = NO_FIRST_NS
            self.last_sent_ns[self.count : count] = NO_LAST_NS
            self.count, self.revision = count, self.revision + 1
            hours = (hours.words for hours in self.dense.values())
            prepare(count, [*self.columns().values(), self.policy_codes, *hours])

    def advance(self, now_ns: int) -> None:
        """Open the day of now, and in its first hour yesterday, with dense presence; a checkpoint closes older days.

        Open days never move back. After a server clock that was ahead is corrected, heartbeats of the present fall
        before the open days: they are kept as sparse presence, which is slower but as exact. What came for a day before
        it was open stays sparse, too, until `SparsePresence.settle_into` has moved it.
        """
        self.open_from_day = max(self.open_from_day, first_open_day(now_ns))
        self._open_days(now_ns)

    def _open_days(self, now_ns: int) -> None:
        for day in (self.open_from_day, self.open_from_day + 1):
            if day not in self.dense and day <= now_ns // NS_PER_DAY:
                self.revision += 1
                self.dense[day] = hours = HourColumns.empty(len(self.first_sent_ns))
                prepare(self.count, [hours.words])

    def set_policy(self, device: int, history: PolicyHistory) -> None:
        """Set which policies a device has, and from when on."""
        self.revision += 1
        self.policy_codes = self.policies.without_unused(self.policy_codes)
        self.policy_codes[device] = self.policies.code_of(history)

    def policies_of(self, device: int) -> PolicyHistory:
        """The policies of a device."""
        return self.policies.histories[int(self.policy_codes[device])]

    @property
    def device_policies(self) -> DevicePolicies:
        """The policies of all devices, which judge gaps between beats."""
        return DevicePolicies(self.policy_codes, self.policies.table, self.policies.shortest_ns)

    def apply(self, batches: Sequence[EventColumns]) -> None:
        """Apply batches in the order of the journal. A thousand small batches take little longer than a large one.

        What is counted by sent_at (presence, samples) is the same in any order of events and any division into batches.
        """
        start, floor_ns, timed = 0, self.alive_at_ns, list(batches)
        for place, batch in enumerate(batches):
            if len(batch.correction_ns):
                self._apply_in_order(timed[start:place], floor_ns)
                correct(self, ClockCorrection(*batch.correction_ns.tolist()))
                start, floor_ns = place, self.alive_at_ns
            if batch.is_shared:
                self.blind_ns += quiet_before(batch, self.alive_at_ns)
                timed[place] = in_time(batch, self.alive_at_ns)
                self.catalog_version = int(batch.catalog_version.max(initial=self.catalog_version))
            self.alive_at_ns = max(self.alive_at_ns, batch.received_at_ns)
            spans = batch.blind_ns.tolist()
            self.blind_ns += zip(spans[::2], spans[1::2], strict=True)
            if len(batch.leap_ns):
                self.leaps = self.leaps.and_one(*batch.leap_ns.tolist())
            if len(batch.forgotten):
                self._apply_in_order(timed[start : place + 1], floor_ns)
                start, floor_ns = place + 1, self.alive_at_ns
                self.forgotten += forget_all(self, batch)
        self._apply_in_order(timed[start:], floor_ns)

    def _apply_in_order(self, batches: Sequence[EventColumns], floor_ns: int) -> None:
        receptions: list[Receptions] = []
        beating = [batch for batch in batches if len(batch.heartbeat_devices)]
        if beating:
            sent_at_ns, received = join_heartbeats(beating, floor_ns=floor_ns)
            np.add.at(self.heartbeats, received.devices, ONE)
            self._take_beats(received.devices, sent_at_ns)
            receptions.append(received)
        sampling = [batch for batch in batches if len(batch.sample_devices)]
        if sampling:
            samples, received = join_reported_samples(sampling, floor_ns=floor_ns)
            columns = {name: getattr(self, name) for name in SAMPLE_COLUMNS}
            pieces = [samples] if are_divided_alike(sampling, samples) else list(map(samples_of, sampling))
            for piece in pieces:
                self.samples.apply(piece, columns)
            self._take_beats(*metrics_reports(samples, sampling))
            receptions.append(received)
        if receptions:
            # Heartbeats and samples together, since a sample between two heartbeats divides a reception gap.
            self._receive(join_columns(receptions, receptions[0]))

    def _receive(self, received: Receptions) -> None:
        """Advance `last_received_ns`, and keep the reception gaps that ended by it."""
        devices, at_ns = received.devices, received.at_ns
        if devices.max() >= self.count:  # the columns have room for it
            raise IndexError(f"the fleet has no device {devices.max()}")
        gaps = self.policies.ended_gaps(self.policy_codes, devices, at_ns, last_ns=self.last_received_ns[devices])
        if gaps is not None:
            add_gaps(self.gaps, gaps)
            np.maximum.at(self.up_since_ns, gaps.devices, gaps.end_ns)
        np.maximum.at(self.last_received_ns, devices, at_ns)

    def _take_beats(self, devices: NDArray[np.uint32], sent_at_ns: NDArray[np.int64]) -> None:
        """Take what shows that devices were running, by their own clocks; `sent_at_ns`: shape (n,), of each."""
        if len(devices):
            columns = {name: getattr(self, name) for name in BEAT_COLUMNS}
            self.beats.note(devices, sent_at_ns, columns=columns, policies=self.device_policies)
            mark_days(devices, sent_at_ns // NS_PER_MINUTE, dense=self.dense, sparse=self.sparse)

    def figures(self, device: int, *, known: ClosedRows) -> DeviceFigures:
        """The lifetime figures of a device, without doubtful uploads. `known` must have the rows of `touched_days`."""
        first_minute, last_minute = minutes_between(int(self.first_sent_ns[device]), int(self.last_sent_ns[device]))
        return DeviceFigures(
            minutes_present=int(self.closed_minutes[device]) + self._uncounted_minutes(device, known),
            first_minute=first_minute,
            last_minute=last_minute,
            heartbeats=int(self.heartbeats[device]),
            samples=int(self.uploads[device]) + int(self.other_samples[device]),
            uploads=int(self.uploads[device]),
            upload_time_total=(int(self.upload_high[device]) << 32) + int(self.upload_low[device]),
        )

    def has_doubtful_uploads(self, device: int) -> bool:
        """Whether a device has sent upload times that have not been compared with earlier ones yet."""
        return has_uploads(self.doubtful(), device)

    def doubtful(self) -> list[SampleColumns]:
        """The samples that may repeat others, those included that a checkpoint is writing."""
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
        return view_of(self, devices, from_day=from_day)

    def cut(self) -> None:
        """Begin a checkpoint: move what it writes to `closing`, to what an earlier one that failed has left there."""
        for day in [day for day in self.dense if day < self.open_from_day]:
            self.closing.dense[day] = self.dense.pop(day)
        for day in self.sparse.days:
            if day < self.open_from_day:
                self.closing.sparse.adopt(day, self.sparse.take(day))
        self.closing.samples += self.samples.certain.take()
        self.closing.doubtful += self.samples.doubtful.take()
        self.closing.beats.take_from(self.beats)
        self.closing.gaps = join_pieces([*self.closing_gaps(), *self.gaps])
        self.closing.corrections += self.corrections
        self.gaps, self.corrections, self.revision = [], [], self.revision + 1

    def freeze(self, *, is_whole: bool = False) -> Freezing:
        """Begin a checkpoint, see `cut`, and begin to copy the exact columns; with `is_whole` all columns."""
        self.cut()
        frozen = FrozenFleet(
            count=self.count,
            open_from_day=self.open_from_day,
            columns=self.columns(),
            open_dense=dict(self.dense),
            open_sparse=self.sparse.shared(),
            closing=self.closing,
            policies=self.device_policies.copied(self.count),
            alive_at_ns=self.alive_at_ns,
            blind_ns=list(self.blind_ns),
            leaps=self.leaps,
            forgotten=list(self.forgotten),
            first_kept_ns=dict(self.first_kept_ns),
            catalog_version=self.catalog_version,
        )
        return Freezing(frozen, names=tuple(frozen.columns) if is_whole else EXACT_COLUMNS)

    def closing_gaps(self) -> list[ReceptionGapColumns]:
        """The reception gaps that a checkpoint is writing, as they are correct now."""
        return [correct_gaps(piece, self.corrections) for piece in self.closing.gaps]

    def finish_closing(
        self,
        closed_minutes: NDArray[np.int32],
        new_uploads: SampleColumns = NO_SAMPLES,
        *,
        forgotten: int | None = None,
    ) -> None:
        """End a checkpoint whose blocks the manifest names.

        Args:
            closed_minutes: with those of its blocks, int32, shape (n,).
            new_uploads: those of its doubtful upload times that repeat no other.
            forgotten: how many of `self.forgotten` its blocks have forgotten, at most.
        """
        self.closed_minutes[: len(closed_minutes)] = closed_minutes
        settle_uploads(self.columns(), new_uploads)
        self.closing, self.revision = ClosingData(), self.revision + 1
        del self.forgotten[:forgotten]
        since = {one.device for one in self.forgotten}
        self.first_kept_ns = {device: ns for device, ns in self.first_kept_ns.items() if device in since}

    def add_closed_minutes(self, devices: NDArray[np.uint32], minutes: NDArray[np.int32]) -> None:
        """Count minutes, int32, shape (n,), that have joined the blocks of closed days, by device, each once."""
        self.revision += 1
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
        self.resize(len(columns["first_sent_ns"]))
        for name, column in columns.items():
            if column.any():  # pages of zeros cost no memory until they are written to
                getattr(self, name)[: len(column)] = column
        self.open_from_day = open_from_day
        self.alive_at_ns = alive_at_ns
        self.blind_ns = list(blind_ns)
        self.leaps = leaps
        self._open_days(alive_at_ns)

    def restore_presence(self, day: int, *, devices: NDArray[np.uint32], rows: Rows) -> None:
        """Load the presence of an open day: `devices` uint32, shape (n,), distinct; `rows` uint64, shape (n, 23)."""
        if day in self.dense:
            self.dense[day].mark_rows(devices, rows)
        else:
            self.sparse.put(day, devices=devices, rows=rows)
