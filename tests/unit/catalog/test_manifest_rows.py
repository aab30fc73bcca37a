import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetpulse.catalog.manifest_rows import read_manifest, write_manifest
from fleetpulse.catalog.schema import migrate
from fleetpulse.model.manifest import DEVICES_END, TIERS, BlockFile, GapFile, Manifest, SampleBlock

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
        gaps={day: tuple(gap_file() for _ in range(draw(st.integers(1, 3)))) for day in by_day()},
        samples=tuple(block() for _ in range(draw(st.integers(0, 3)))),
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
