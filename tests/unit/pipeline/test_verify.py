"""What verify finds of a data folder, part by part."""

import shutil
from array import array
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from fleetpulse.aggregate.presence import WORDS_PER_DAY, Rows
from fleetpulse.blocks.manifest_note import keep_other_note, put_manifest_note
from fleetpulse.blocks.presence import write_presence
from fleetpulse.blocks.snapshot import SNAPSHOT_COLUMNS, write_snapshot
from fleetpulse.blocks.store import MemoryBlockStore
from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.journal.entry import encode_entry
from fleetpulse.journal.memory import MemoryJournal
from fleetpulse.model.device import Device
from fleetpulse.model.events import EventBatch
from fleetpulse.model.manifest import RAW, BackfillFile, BlockFile, GapFile, Manifest, SampleBlock
from fleetpulse.pipeline.verify import UNREAD_MAX, Finding, verify
from fleetpulse.reached import Reached

CLOSED_DAY, OPEN_DAY = 20_000, 20_001


class Folder:
    """A data folder: two devices, of which device 1 was present in three minutes of a closed day."""

    def __init__(self, path: Path) -> None:
        self.store = MemoryBlockStore()
        self.journal = MemoryJournal()
        self.catalog = SqliteCatalog(path / "catalog.sqlite")
        self.catalog.register([Device("a"), Device("b")], devices_max=2, at_ns=0)
        rows: Rows = np.zeros((1, WORDS_PER_DAY), np.uint64)
        rows[0, 0] = 0b1011
        chunk = np.array([1], np.uint32), rows
        manifest = Manifest(
            open_from_day=OPEN_DAY,
            snapshot=self.snapshot(closed_minutes=3),
            presence={
                CLOSED_DAY: self.store.put("presence", lambda file: write_presence(file, [chunk])),
                OPEN_DAY: self.other("open"),
            },
            gaps={CLOSED_DAY: (GapFile.of(self.other("silences")),)},
            beat_gaps={CLOSED_DAY: (GapFile.of(self.other("gaps")),)},
            covers={CLOSED_DAY: (GapFile.of(self.other("covers")),)},
            backfill=(BackfillFile(*astuple(self.other("backfill")), start_day=CLOSED_DAY, end_day=OPEN_DAY),),
            samples=(SampleBlock("float", None, 0, 1, 1, {RAW: self.other("samples")}),),
            names={name: self.other(name) for name in ("devices", "metrics")},
        )
        self.catalog.commit_manifest(manifest)

    def snapshot(self, *, closed_minutes: int) -> BlockFile:
        columns = {name: np.zeros(2, dtype) for name, dtype in SNAPSHOT_COLUMNS.items()}
        columns["closed_minutes"][1] = closed_minutes
        return self.store.put("snapshot", lambda file: write_snapshot(file, columns))

    def other(self, name: str) -> BlockFile:
        return self.store.put(name, lambda file: file.write(name.encode()) and None)

    def findings(self) -> dict[str, Finding]:
        return {finding.part: finding for finding in verify(self.journal, self.catalog, self.store)}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path)
    yield folder
    folder.catalog.close()


def test_a_whole_folder_is_good_in_every_part(folder: Folder) -> None:
    findings = folder.findings()
    assert all(finding.is_good for finding in findings.values()), findings
    assert findings["catalog"].text == "2 devices"
    assert findings["closed minutes"].text == "3 in 1 closed days"


def test_blocks_say_what_they_hold_and_their_size_as_attributes(folder: Folder) -> None:
    blocks = {finding.kind: finding for finding in folder.findings().values() if finding.kind}
    kinds = ("snapshot", "presence", "open", "silences", "gaps", "covers", "backfill", "samples", "devices", "metrics")
    assert set(blocks) == set(kinds)
    assert [blocks[kind].part for kind in kinds] == list(kinds)
    assert blocks["samples"].size_bytes == len("samples")


def test_a_damaged_block_is_named_and_minutes_are_not_counted(folder: Folder) -> None:
    folder.store.put("presence", lambda file: file.write(b"damage") and None)
    findings = folder.findings()
    assert [part for part, finding in findings.items() if not finding.is_good] == ["presence", "closed minutes"]
    assert "not what was written" in findings["presence"].text


def test_a_snapshot_that_counts_other_minutes_than_the_blocks_hold_is_wrong(folder: Folder) -> None:
    manifest = folder.catalog.manifest()
    folder.catalog.commit_manifest(
        Manifest(open_from_day=OPEN_DAY, snapshot=folder.snapshot(closed_minutes=4), presence=manifest.presence)
    )
    finding = folder.findings()["closed minutes"]
    assert (finding.is_good, "the first of number 1" in finding.text) == (False, True)


def test_what_vanished_is_told_once_with_one_piece_of_advice(folder: Folder) -> None:
    folder.catalog.commit_manifest(Manifest(position=1))
    findings = folder.findings()
    assert [part for part, finding in findings.items() if not finding.is_good] == ["vanished data"]
    assert "--accept-loss" in findings["vanished data"].text
    # The journal has dropped what a lost checkpoint of the catalog holds.
    folder.catalog.commit_manifest(Manifest(position=0))
    folder.journal.append(encode_entry(EventBatch(array("I", [7]), array("q", [0]))))
    folder.journal.mark = Reached(5, 0, 0, is_closed=False)
    findings = folder.findings()
    assert [part for part, finding in findings.items() if not finding.is_good] == ["vanished data"]
    assert "cannot be accepted" in findings["vanished data"].text


@pytest.mark.parametrize(("device", "is_good"), [(1, True), (2, False)])
def test_entries_may_only_speak_of_devices_that_the_catalog_knows(folder: Folder, device: int, is_good: bool) -> None:
    folder.journal.append(encode_entry(EventBatch(array("I", [device]), array("q", [0]))))
    finding = folder.findings()["journal"]
    assert finding.is_good == is_good, finding.text
    assert not is_good or finding.text == "1 entry, 1 event after position 0"


def test_files_outside_the_manifest_are_counted_and_no_fault(folder: Folder) -> None:
    folder.other(f"left-behind-{folder.catalog.files.begin(at_ns=1)}.parquet")
    finding = folder.findings()["files outside the manifest"]
    assert (finding.is_good, finding.text.split()[0]) == (True, "1")
    assert "unknown files" not in folder.findings()


def test_files_that_the_folder_did_not_write_are_named(folder: Folder) -> None:
    name = folder.other("of-others").name
    findings = folder.findings()
    assert findings["files outside the manifest"].text.startswith("0 left over")
    assert (findings["unknown files"].is_good, name in findings["unknown files"].text) == (True, True)


def test_superseded_files_are_called_not_read_while_there_are_any(folder: Folder) -> None:
    assert folder.findings()["files outside the manifest"].is_read
    manifest = folder.catalog.manifest()
    folder.catalog.commit_manifest(replace(manifest, samples=()))
    finding = folder.findings()["files outside the manifest"]
    assert (finding.is_good, finding.is_read, "1 superseded" in finding.text) == (True, False, True)
    folder.store.remove("samples")  # nothing is left that could be read
    assert folder.findings()["files outside the manifest"].is_read
    folder.other("of-others")
    assert not folder.findings()["unknown files"].is_read


@pytest.mark.parametrize("damage", [b"other!", b"longer than it was"])
def test_files_of_a_kept_manifest_are_compared_with_it(folder: Folder, damage: bytes) -> None:
    file, missing = folder.other("theirs"), BlockFile("gone", 1, "00")
    put_manifest_note(folder.store, Manifest(position=9, snapshot=file, counted=missing))
    name = keep_other_note(folder.store, names=(), marks=())
    put_manifest_note(folder.store, folder.catalog.manifest())
    findings = folder.findings()
    assert all(finding.is_good and finding.is_read for finding in findings.values()), findings
    assert findings["theirs"].kind == "kept"
    assert "1 of them missing" in findings[f"kept {name}"].text
    folder.store.put("theirs", lambda file: file.write(damage) and None)
    wrong = [finding for finding in folder.findings().values() if not finding.is_good]
    assert [finding.part for finding in wrong] == ["theirs"]
    assert "not what was written" in wrong[0].text and "kept manifest names it" in wrong[0].text


def test_what_is_not_listed_is_missing_and_is_not_asked_for(folder: Folder) -> None:
    folder.store.remove("samples")
    findings = folder.findings()
    assert [part for part, finding in findings.items() if not finding.is_good] == ["samples", "closed minutes"]
    assert "is missing" in findings["samples"].text


class Away(MemoryBlockStore):
    """A store that gives nothing, after a while, and perhaps does not even list what it has."""

    def __init__(self, *, is_listed: bool) -> None:
        super().__init__()
        self.is_listed, self.opened = is_listed, 0

    def open(self, name: str) -> BinaryIO:
        self.opened += 1
        raise OSError(f"cannot read {name}")

    def names(self) -> set[str]:
        if not self.is_listed:
            raise OSError("cannot list")
        return super().names()


@pytest.mark.parametrize(("is_listed", "opened"), [(False, 0), (True, UNREAD_MAX)])
def test_a_store_that_is_away_is_not_asked_for_every_block(folder: Folder, is_listed: bool, opened: int) -> None:
    away = Away(is_listed=is_listed)
    away._files = folder.store._files
    findings = verify(folder.journal, folder.catalog, away)
    assert away.opened == opened
    assert [finding.part for finding in findings[:2] if finding.is_good] == ["catalog", "journal"]
    wrong = {finding.part for finding in findings if not finding.is_good}
    assert wrong == ({"blocks"} if not is_listed else {*folder.store.names(), "closed minutes"})


def test_of_a_cache_only_the_copies_that_are_there_are_checked(folder: Folder) -> None:
    cache = MemoryBlockStore()
    for name in ("presence", "open"):
        cache.put(name, lambda file, name=name: shutil.copyfileobj(folder.store.open(name), file))
    cache.put("open", lambda file: file.write(b"damage") and None)
    findings = {finding.part: finding for finding in verify(folder.journal, folder.catalog, cache, is_cache=True)}
    assert findings["presence"].is_good
    assert "read from the bucket again" in findings["open"].text
    assert findings["cache"].text == "copies of 2 of 10 blocks"
    assert "closed minutes" not in findings


def test_how_many_blocks_were_read_is_seen_on_the_way(folder: Folder) -> None:
    seen: list[tuple[int, int, int]] = []
    verify(folder.journal, folder.catalog, folder.store, advanced=lambda *figures: seen.append(figures))
    assert [figures[:2] for figures in seen] == [(place + 1, 10) for place in range(10)]
    assert sum(figures[2] for figures in seen) == sum(file.size_bytes for file in folder.catalog.manifest().files())


def test_parts_of_different_data_folders_are_wrong(folder: Folder) -> None:
    assert "without an id" in folder.findings()["identity"].text
    folder.catalog.files.identify("one")
    assert folder.findings()["identity"].text == "data folder one"
    folder.journal.identify("other")
    finding = folder.findings()["identity"]
    assert (finding.is_good, "the journal of other" in finding.text) == (False, True)
    folder.store.put_note("owner.json", b"{}")
    assert "cannot be read" in folder.findings()["identity"].text
