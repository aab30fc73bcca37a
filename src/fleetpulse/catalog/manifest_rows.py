"""The manifest as rows of the catalog, see `schema.py`.

Column `kind` of table block is `snapshot`, `presence`, `silences` (reception gaps: the name that older data folders
have), `beat-gaps`, `covers`, `backfill` (whose start_ns and end_ns are the days that it may touch), `late-days` and
`late-devices` (a late block, whose day is that of its checkpoint), `counted`, `devices` or `metrics`; for a file of a
sample block, which has a part number, it is the tier.
"""

from collections.abc import Iterator, Sequence

from fleetpulse.catalog.database import Statements
from fleetpulse.model.days import Days
from fleetpulse.model.manifest import BackfillFile, BlockFile, Expired, GapFile, LateBlock, Manifest, SampleBlock
from fleetpulse.model.server_clock import KnownLeaps
from fleetpulse.model.units import NS_PER_DAY

_LATE = ("late-days", "late-devices")
_NAMES = ("devices", "metrics")
_HEAD = (
    "position, open_from_day, taken_at_ns, alive_at_ns, beats_exact_from_ns, catalog_version,"
    " leapt_at_ns, leap_start_ns, leap_end_ns"
)
_GAPS, _BACKFILL = {"silences": "gaps", "beat-gaps": "beat_gaps", "covers": "covers"}, "backfill"
_NO_PART = (None, None, None, None, None, False)
_PART_COLUMNS = "part, value_kind, start_ns, end_ns, samples, is_distinct"
_GAP_COLUMNS = "first_device, end_device, sequence"
_COLUMNS = f"kind, day, name, size_bytes, sha256, {_PART_COLUMNS}"


def read_manifest(connection: Statements) -> Manifest:
    """The manifest in the tables; an empty one where there is none."""
    run = connection.execute
    head = run(f"SELECT {_HEAD} FROM manifest").fetchone()
    if head is None:
        return Manifest()
    presence: dict[int, BlockFile] = {}
    late: dict[str, list[tuple[int, BlockFile]]] = {kind: [] for kind in _LATE}
    snapshot, counted, names = None, None, {}
    for kind, day, *file in run(
        "SELECT kind, day, name, size_bytes, sha256 FROM block WHERE part IS NULL ORDER BY day, rowid"
    ):
        if kind == "snapshot":
            snapshot = BlockFile(*file)
        elif kind == "counted":
            counted = BlockFile(*file)
        elif kind in _LATE:
            late[kind].append((day, BlockFile(*file)))
        elif kind in _NAMES:
            names[kind] = BlockFile(*file)
        elif kind == "presence":
            presence[day] = BlockFile(*file)
    position, open_from_day, taken_at_ns, alive_at_ns, beats_exact_from_ns, catalog_version, *leaps = head
    gaps, backfill = _gaps(connection)
    return Manifest(
        position=position,
        open_from_day=open_from_day,
        taken_at_ns=taken_at_ns,
        alive_at_ns=alive_at_ns,
        blind_ns=tuple(run("SELECT start_ns, end_ns FROM blind ORDER BY start_ns")),
        leaps=KnownLeaps(*leaps),
        snapshot=snapshot,
        presence=presence,
        gaps=gaps["silences"],
        samples=_sample_blocks(connection),
        late=_late_blocks(connection, *(late[kind] for kind in _LATE)),
        counted=counted,
        names=names,
        expired=_expired(connection),
        beat_gaps=gaps["beat-gaps"],
        covers=gaps["covers"],
        backfill=backfill,
        beats_exact_from_ns=beats_exact_from_ns,
        catalog_version=catalog_version,
    )


def _gaps(connection: Statements) -> tuple[dict[str, dict[int, tuple[GapFile, ...]]], tuple[BackfillFile, ...]]:
    """The files of gaps by kind and day; and those of backfill."""
    gaps: dict[str, dict[int, tuple[GapFile, ...]]] = {kind: {} for kind in _GAPS}
    backfill: list[BackfillFile] = []
    for kind, day, start_ns, end_ns, name, size_bytes, sha256, first_device, end_device, sequence in connection.execute(
        f"SELECT kind, day, start_ns, end_ns, name, size_bytes, sha256, {_GAP_COLUMNS}"
        " FROM block LEFT JOIN gap_devices USING (name)"
        f" WHERE part IS NULL AND kind IN ({', '.join('?' * (len(_GAPS) + 1))}) ORDER BY day, block.rowid",
        (*_GAPS, _BACKFILL),
    ):
        # Of files that older versions named all devices count.
        about = () if sequence is None else (first_device, end_device, sequence)
        file = GapFile(name, size_bytes, sha256, *about)
        if kind == _BACKFILL:
            days = {"start_day": start_ns // NS_PER_DAY, "end_day": end_ns // NS_PER_DAY}
            backfill.append(BackfillFile(name, size_bytes, sha256, *about, **days))
        else:
            gaps[kind][day] = (*gaps[kind].get(day, ()), file)
    return gaps, tuple(backfill)


def _late_blocks(
    connection: Statements, by_day: list[tuple[int, BlockFile]], by_device: list[tuple[int, BlockFile]]
) -> tuple[LateBlock, ...]:
    """The late blocks; their two files come in the same order."""
    days: dict[str, set[int]] = {}
    for name, start_day, end_day in connection.execute("SELECT name, start_day, end_day FROM late_days"):
        days.setdefault(name, set()).update(range(start_day, end_day))
    return tuple(
        LateBlock(file, other, Days.of(days.get(file.name, ())), written_day)
        for (written_day, file), (_, other) in zip(by_day, by_device, strict=True)
    )


def _expired(connection: Statements) -> Expired:
    expired: dict[int, dict[int, int]] = {}
    for metric, day, samples in connection.execute("SELECT metric, day, samples FROM expired"):
        expired.setdefault(metric, {})[day] = samples
    return expired


def _write_expired(connection: Statements, expired: Expired) -> None:
    """Replace what has expired, unless it is the same: it only ever grows, so its totals tell."""
    rows = [(metric, day, samples) for metric, days in expired.items() for day, samples in days.items()]
    totals = connection.execute("SELECT count(*), coalesce(sum(samples), 0) FROM expired").fetchone()
    if totals != (len(rows), sum(samples for _, _, samples in rows)):
        connection.execute("DELETE FROM expired")
        connection.executemany("INSERT INTO expired VALUES (?, ?, ?)", rows)


def _sample_blocks(connection: Statements) -> tuple[SampleBlock, ...]:
    parts: dict[int, SampleBlock] = {}
    for tier, day, name, size_bytes, sha256, part, kind, start_ns, end_ns, samples, is_distinct in connection.execute(
        f"SELECT {_COLUMNS} FROM block WHERE part IS NOT NULL ORDER BY part"
    ):
        block = parts.setdefault(part, SampleBlock(kind, day, start_ns, end_ns, samples, {}, bool(is_distinct)))
        block.files[tier] = BlockFile(name, size_bytes, sha256)
    return tuple(parts.values())


def write_manifest(connection: Statements, manifest: Manifest) -> None:
    """Replace the manifest in the tables. Call it in a transaction."""
    rows: list[tuple[object, ...]] = [
        *(("presence", day, *_file(file), *_NO_PART) for day, file in manifest.presence.items()),
        *(
            (kind, day, *_file(file), *_NO_PART)
            for kind, field in _GAPS.items()
            for day, files in getattr(manifest, field).items()
            for file in files
        ),
        *((_BACKFILL, None, *_file(file), *_days_as_times(file)) for file in manifest.backfill),
        *((kind, None, *_file(file), *_NO_PART) for kind, file in manifest.names.items()),
    ]
    for block in manifest.late:
        rows += [(kind, block.written_day, *_file(f), *_NO_PART) for kind, f in zip(_LATE, block.files, strict=True)]
    if manifest.counted:
        rows.append(("counted", None, *_file(manifest.counted), *_NO_PART))
    if manifest.snapshot:
        rows.append(("snapshot", None, *_file(manifest.snapshot), *_NO_PART))
    for part, samples in enumerate(manifest.samples):
        about = (part, samples.kind, samples.start_ns, samples.end_ns, samples.samples, samples.is_distinct)
        rows += [(tier, samples.day, *_file(file), *about) for tier, file in samples.files.items()]
    for table in ("manifest", "block", "blind", "late_days", "gap_devices"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute(
        f"INSERT INTO manifest ({_HEAD}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(manifest.position, manifest.open_from_day, manifest.taken_at_ns, manifest.alive_at_ns),
            *(manifest.beats_exact_from_ns, manifest.catalog_version, *manifest.leaps),
        ),
    )
    connection.execute("UPDATE manifest_version SET number = number + 1")
    connection.executemany("INSERT INTO blind VALUES (?, ?)", manifest.blind_ns)
    _write_expired(connection, manifest.expired)
    late_days = [
        (block.by_day.name, start, end) for block in manifest.late for start, end in _ranges(sorted(block.days))
    ]
    connection.executemany("INSERT INTO late_days VALUES (?, ?, ?)", late_days)
    gap_files = [
        *manifest.backfill,
        *(f for field in _GAPS.values() for files in getattr(manifest, field).values() for f in files),
    ]
    parts = [(f.name, f.first_device, f.end_device, f.sequence) for f in gap_files]
    connection.executemany(f"INSERT INTO gap_devices (name, {_GAP_COLUMNS}) VALUES (?, ?, ?, ?)", parts)
    connection.executemany(f"INSERT INTO block ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _file(file: BlockFile) -> tuple[str, int, str]:
    return file.name, file.size_bytes, file.sha256


def _days_as_times(file: BackfillFile) -> tuple[object, ...]:
    return None, None, file.start_day * NS_PER_DAY, file.end_day * NS_PER_DAY, None, False


def _ranges(days: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending days as ranges [start, end) of days that follow each other."""
    start = place = 0
    for place in range(1, len(days) + 1):
        if place == len(days) or days[place] != days[place - 1] + 1:
            yield days[start], days[place - 1] + 1
            start = place
