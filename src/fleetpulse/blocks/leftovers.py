"""Which files of a block store may be removed: only ours that were superseded, and only after a grace.

A restored older copy of the data folder names files that newer ones have superseded since. During the grace they are
still there, so such a copy starts. Copies are best taken of a stopped service, so the files that a service finds when
it starts are kept longest where there is too much to keep.
"""

from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from fleetpulse.blocks.store import mark_of
from fleetpulse.model.manifest import Superseded


@dataclass(frozen=True, slots=True)
class Inventory:
    """The files of a store that are not in use, by whose they are.

    `leftovers`: ours by their mark, but neither named by the manifest nor recorded as superseded: a crash, or work that
    failed, has left them. `unknown`: not ours, so they stay.
    """

    leftovers: frozenset[str]
    unknown: frozenset[str]


def take_inventory(
    names: AbstractSet[str], *, in_use: AbstractSet[str], superseded: Collection[Superseded], marks: AbstractSet[str]
) -> Inventory:
    """Sort the names of a store that are not in use. Call it only while no file is being written."""
    rest = names - in_use - {file.name for file in superseded}
    leftovers = frozenset(name for name in rest if mark_of(name) in marks)
    return Inventory(leftovers, frozenset(rest) - leftovers)


def due_for_removal(
    superseded: Sequence[Superseded], *, now_ns: int, grace_ns: int, bytes_max: int
) -> list[Superseded]:
    """The superseded files whose grace is over, then those that are too many to keep, oldest first.

    Files of a service at rest come last, but they are no exception.
    """
    due = [file for file in superseded if file.since_ns + grace_ns <= now_ns]
    staying = [file for file in superseded if file.since_ns + grace_ns > now_ns]
    excess_bytes = sum(file.size_bytes for file in staying) - bytes_max
    for file in sorted(staying, key=lambda file: (file.was_at_rest, file.since_ns)):
        if excess_bytes <= 0:
            break
        due.append(file)
        excess_bytes -= file.size_bytes
    return due
