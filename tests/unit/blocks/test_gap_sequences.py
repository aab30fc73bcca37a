"""How files divide the devices: by sequence, in chains without overlap, and where they have devices in common."""

from fleetpulse.blocks.gap_sequences import chains, first_overlap, sequences
from fleetpulse.model.manifest import DEVICES_END, BlockFile, GapFile


def file(first: int, end: int = DEVICES_END, *, sequence: int = 0) -> GapFile:
    name = f"{first}-{end}-{sequence}"
    return GapFile.of(BlockFile(name, 1, "x"), first_device=first, end_device=end, sequence=sequence)


def test_a_file_of_sequence_0_stands_by_itself_and_the_others_are_sorted_by_device() -> None:
    files = [file(0), file(5, 9, sequence=2), file(0, 5, sequence=2), file(0), file(0, sequence=1)]
    assert sequences(files) == [[files[0]], [files[3]], [files[4]], [files[2], files[1]]]


def test_chains_are_few_and_have_each_device_once() -> None:
    files = [file(0, 5), file(5, 9), file(0), file(9), file(3, 7)]
    found = chains(files)
    assert sorted(one.name for chain in found for one in chain) == sorted(one.name for one in files)
    assert len(found) == 3
    assert not any(first_overlap(chain) for chain in found)
    assert chains([]) == []


def test_the_first_files_with_common_devices_are_found() -> None:
    done, next_one, left, other = file(0, 5), file(5, 9), file(9), file(9)
    assert first_overlap([]) == first_overlap([done]) == first_overlap([next_one, done, left]) == []
    assert first_overlap([left, other, done, next_one]) == [left, other]
    # The second begins before the first of them ends, and so does the third with the second.
    assert first_overlap([file(8, 12), file(0, 5), file(3, 9), file(12)]) == [file(0, 5), file(3, 9), file(8, 12)]
