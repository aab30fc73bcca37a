"""The manifest as rows of the SQLite catalog, see `schema.py`.

Column `kind` of table block is `snapshot`, `presence`, `silences` (reception gaps: the name that older data folders
have), `devices` or `metrics`; for a file of a sample block, which has a part number, it is the tier.
"""

import sqlite3

from fleetpulse.model.manifest import BlockFile, Expired, Manifest, SampleBlock
from fleetpulse.model.server_clock import KnownLeaps

_NAMES = ("devices", "metrics")
_HEAD = "position, open_from_day, taken_at_ns, alive_at_ns, leapt_at_ns, leap_start_ns, leap_end_ns"
_NO_PART = (None, None, None, None, None, False)
_PART_COLUMNS = "part, value_kind, start_ns, end_ns, samples, is_distinct"
_COLUMNS = f"kind, day, name, size_bytes, sha256, {_PART_COLUMNS}"


def read_manifest(connection: sqlite3.Connection) -> Manifest:
    """The manifest in the tables; an empty one where there is none."""
    run = connection.execute
    head = run(f"SELECT {_HEAD} FROM manifest").fetchone()
    if head is None:
        return Manifest()
    presence: dict[int, BlockFile] = {}
    gaps: dict[int, tuple[BlockFile, ...]] = {}
    snapshot, names = None, {}
    for kind, day, *file in run(
        "SELECT kind, day, name, size_bytes, sha256 FROM block WHERE part IS NULL ORDER BY day, rowid"
    ):
        if kind == "snapshot":
            snapshot = BlockFile(*file)
        elif kind in _NAMES:
            names[kind] = BlockFile(*file)
        elif kind == "presence":
            presence[day] = BlockFile(*file)
        else:
            gaps[day] = (*gaps.get(day, ()), BlockFile(*file))
    position, open_from_day, taken_at_ns, alive_at_ns, *leaps = head
    return Manifest(
        position=position,
        open_from_day=open_from_day,
        taken_at_ns=taken_at_ns,
        alive_at_ns=alive_at_ns,
        blind_ns=tuple(run("SELECT start_ns, end_ns FROM blind ORDER BY start_ns")),
        leaps=KnownLeaps(*leaps),
        snapshot=snapshot,
        presence=presence,
        gaps=gaps,
        samples=_sample_blocks(connection),
        names=names,
        expired=_expired(connection),
    )


def _expired(connection: sqlite3.Connection) -> Expired:
    expired: dict[int, dict[int, int]] = {}
    for metric, day, samples in connection.execute("SELECT metric, day, samples FROM expired"):
        expired.setdefault(metric, {})[day] = samples
    return expired


def _write_expired(connection: sqlite3.Connection, expired: Expired) -> None:
    """Replace what has expired, unless it is the same: it only ever grows, so its totals tell."""
    rows = [(metric, day, samples) for metric, days in expired.items() for day, samples in days.items()]
    totals = connection.execute("SELECT count(*), coalesce(sum(samples), 0) FROM expired").fetchone()
    if totals != (len(rows), sum(samples for _, _, samples in rows)):
        connection.execute("DELETE FROM expired")
        connection.executemany("INSERT INTO expired VALUES (?, ?, ?)", rows)


def _sample_blocks(connection: sqlite3.Connection) -> tuple[SampleBlock, ...]:
    parts: dict[int, SampleBlock] = {}
    for tier, day, name, size_bytes, sha256, part, kind, start_ns, end_ns, samples, is_distinct in connection.execute(
        f"SELECT {_COLUMNS} FROM block WHERE part IS NOT NULL ORDER BY part"
    ):
        block = parts.setdefault(part, SampleBlock(kind, day, start_ns, end_ns, samples, {}, bool(is_distinct)))
        block.files[tier] = BlockFile(name, size_bytes, sha256)
    return tuple(parts.values())


def write_manifest(connection: sqlite3.Connection, manifest: Manifest) -> None:
    """Replace the manifest in the tables. Call it in a transaction."""
    rows: list[tuple[object, ...]] = [
        *(("presence", day, *_file(file), *_NO_PART) for day, file in manifest.presence.items()),
        *(("silences", day, *_file(file), *_NO_PART) for day, files in manifest.gaps.items() for file in files),
        *((kind, None, *_file(file), *_NO_PART) for kind, file in manifest.names.items()),
    ]
    if manifest.snapshot:
        rows.append(("snapshot", None, *_file(manifest.snapshot), *_NO_PART))
    for part, block in enumerate(manifest.samples):
        about = (part, block.kind, block.start_ns, block.end_ns, block.samples, block.is_distinct)
        rows += [(tier, block.day, *_file(file), *about) for tier, file in block.files.items()]
    for table in ("manifest", "block", "blind"):
        connection.execute(f"DELETE FROM {table}")
    connection.execute(
        f"INSERT INTO manifest ({_HEAD}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (manifest.position, manifest.open_from_day, manifest.taken_at_ns, manifest.alive_at_ns, *manifest.leaps),
    )
    connection.executemany("INSERT INTO blind VALUES (?, ?)", manifest.blind_ns)
    _write_expired(connection, manifest.expired)
    connection.executemany(f"INSERT INTO block ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _file(file: BlockFile) -> tuple[str, int, str]:
    return file.name, file.size_bytes, file.sha256
