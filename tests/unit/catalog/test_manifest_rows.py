import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import astuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetpulse.catalog import schema
from fleetpulse.catalog.manifest_rows import read_manifest, write_manifest
from fleetpulse.catalog.schema import migrate
from fleetpulse.model.manifest import DEVICES_END, TIERS, BackfillFile, BlockFile, GapFile, Manifest, SampleBlock

NUMBERS = st.integers(0, 2**62)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    count = 0

    def file() -> BlockFile:
        nonlocal count
        count += 1
        return BlockFile(f"block-{count}.parquet", draw(NUMBERS), f"{count:064x}")

    def gap_file() -> GapFile:
        first, end = draw(st.tuples(st.integers(0, 9), st.integers(10, DEVICES_END)))
        return GapFile.of(file(), first_device=first, end_device=end, sequence=draw(st.integers(0, 3)))

    def backfill_file() -> BackfillFile:
        name, size_bytes, sha256, first, end, sequence = astuple(gap_file())
        start_day, days = draw(st.tuples(st.integers(-5, 30_000), st.integers(1, 9)))
        return BackfillFile(name, size_bytes, sha256, first, end, sequence, start_day, start_day + days)

    def gaps_by_day() -> dict[int, tuple[GapFile, ...]]:
        return {day: tuple(gap_file() for _ in range(draw(st.integers(1, 3)))) for day in by_day()}

    def by_day() -> dict[int, BlockFile]:
        return {day: file() for day in sorted(draw(st.sets(st.integers(-5, 30_000), max_size=3)))}

    def block() -> SampleBlock:
        day = draw(st.none() | st.integers(0, 30_000))
        tiers = draw(st.sets(st.sampled_from(TIERS), min_size=1))
        kind = draw(st.sampled_from(["float", "integer"]))
        return SampleBlock(kind, day, draw(NUMBERS), draw(NUMBERS), draw(NUMBERS), {tier: file() for tier in tiers})

    return Manifest(
        position=draw(NUMBERS),
        open_from_day=draw(st.integers(0, 30_000)),
        taken_at_ns=draw(NUMBERS),
        alive_at_ns=draw(NUMBERS),
        blind_ns=tuple(sorted(draw(st.sets(st.tuples(NUMBERS, NUMBERS), max_size=3)), key=lambda span: span[0])),
        snapshot=draw(st.none() | st.builds(file)),
        presence=by_day(),
        gaps=gaps_by_day(),
        samples=tuple(block() for _ in range(draw(st.integers(0, 3)))),
        beat_gaps=gaps_by_day(),
        covers=gaps_by_day(),
        backfill=tuple(backfill_file() for _ in range(draw(st.integers(0, 3)))),
        beats_exact_from_ns=draw(NUMBERS),
        names={name: file() for name in draw(st.sets(st.sampled_from(["devices", "metrics"])))},
    )


@pytest.fixture(scope="module")
def connection() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    yield connection
    connection.close()


def test_new_tables_hold_the_empty_manifest(connection: sqlite3.Connection) -> None:
    assert read_manifest(connection) == Manifest()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(manifests())
def test_a_manifest_reads_back_and_replaces_the_one_before(connection: sqlite3.Connection, manifest: Manifest) -> None:
    write_manifest(connection, manifest)
    stored = read_manifest(connection)
    assert stored == manifest
    assert list(stored.presence) == sorted(stored.presence)
    assert sorted(file.name for file in stored.files()) == sorted(file.name for file in manifest.files())


def test_of_files_of_gaps_that_older_versions_named_all_devices_count(connection: sqlite3.Connection) -> None:
    file = GapFile("silences-1.parquet", 5, "x", 3, 9, 1)
    write_manifest(connection, Manifest(gaps={1: (file,)}))
    connection.execute("DELETE FROM gap_devices")
    assert read_manifest(connection).gaps == {1: (GapFile.of(file.file),)}


def test_a_catalog_of_a_version_without_beat_gaps_says_up_to_when_they_are_lacking() -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        before = next(version for version, step in enumerate(schema.STEPS) if "beats_exact_from_ns" in step)
        connection.executescript(f"{''.join(schema.STEPS[:before])} PRAGMA user_version={before};")
        connection.execute("INSERT INTO manifest (position, open_from_day, taken_at_ns) VALUES (7, 3, 99)")
        migrate(connection)
        assert read_manifest(connection) == Manifest(7, 3, 99, beats_exact_from_ns=99)
