"""How the files of reception gaps of a day divide the devices among them."""

from collections.abc import Iterator, Sequence
from itertools import chain

from fleetpulse.model.manifest import GapFile


def sequences(files: Sequence[GapFile]) -> list[list[GapFile]]:
    """The files by sequence, each sorted by first device; a file of sequence 0 stands by itself."""
    alone = [[file] for file in files if not file.sequence]
    numbers = sorted({file.sequence for file in files if file.sequence})
    return [*alone, *(sort_files(file for file in files if file.sequence == number) for number in numbers)]


def sort_files(files: Iterator[GapFile] | Sequence[GapFile]) -> list[GapFile]:
    """The files by their first device."""
    return sorted(files, key=lambda file: file.first_device)


def chains(files: Sequence[GapFile]) -> list[list[GapFile]]:
    """All files in as few lists as possible of which each has no device in two files, and is sorted by device.

    So a question about one device reads at most a file of each.
    """
    found: list[list[GapFile]] = []
    for file in sort_files(files):
        fitting = next((one for one in found if one[-1].end_device <= file.first_device), None)
        if fitting is None:
            found.append([file])
        else:
            fitting.append(file)
    return found


def first_overlap(files: Sequence[GapFile]) -> list[GapFile]:
    """The first files, sorted by first device, that have devices in common; none where no device is in two files.

    Two of them may have no device in common, where a third one has some with each.
    """
    together: list[GapFile] = []
    end = 0
    for file in sort_files(files):
        if file.first_device >= end:
            if len(together) > 1:
                break
            together = []
        together.append(file)
        end = max(end, file.end_device)
    return together if len(together) > 1 else []


def all_files(several: Sequence[Sequence[GapFile]]) -> list[GapFile]:
    """The files of several sequences."""
    return list(chain.from_iterable(several))
