"""Notes: what an answer says beside its figures where the question was perhaps meant otherwise.

A misspelt label gives an answer that is right and empty; without a word about it, it looks like an empty fleet.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from fleetpulse.blocks.history import SampleRange
from fleetpulse.catalog.roster import Roster
from fleetpulse.errors import DamagedData
from fleetpulse.model.manifest import RAW
from fleetpulse.model.metric import MetricDefinition
from fleetpulse.notation.count import count_text
from fleetpulse.query.reads import Samples
from fleetpulse.query.window import Window

LISTED_MAX = 10
COMPARED_MAX = 1_000
"""Names that are compared with one that does not exist: comparing takes long."""


def selection_notes(roster: Roster, labels: Sequence[tuple[str, str]], *, by: str = "") -> list[str]:
    """Notes on labels that no device has, or no device all of them; and on a label `by` to group by ("": none)."""
    selected = roster.with_labels(labels)
    notes: list[str] = []
    if labels and not selected.any():
        notes = [note for name, value in labels if (note := _label_note(roster, name, value))]
        notes = notes or [f"no device has all of these labels: {', '.join(f'{n}:{v}' for n, v in labels)}"[:500]]
    if by and not (roster.groups(by)[0][selected] != 0).any():
        if _is_used(roster, by):
            notes += [f"none of these devices has a label `{by[:100]}` to group by"] if selected.any() else []
        else:
            notes.append(f"no device has a label `{by[:100]}` to group by; {_name_hint(roster, by)}")
    return notes


def _label_note(roster: Roster, name: str, value: str) -> str | None:
    """What is wrong with a label where no device has it."""
    if roster.with_labels([(name, value)]).any():
        return None
    text = f"no device has the label {name[:100]}:{value[:200]}"
    if not _is_used(roster, name):
        return f"{text}; {_name_hint(roster, name)}"
    column = roster.labels[name]
    codes = np.unique(column.codes[: roster.count][roster.registered()])
    return (
        f"{text}; {_hint(value, [column.values[code] for code in codes.tolist() if code], f'values of {name[:100]}')}"
    )


def _is_used(roster: Roster, name: str) -> bool:
    """Whether any device has a label of this name."""
    return bool((roster.groups(name)[0][roster.registered()] != 0).any())


def _name_hint(roster: Roster, name: str) -> str:
    return _hint(name, [known for known in roster.labels if _is_used(roster, known)], "labels")


def _hint(wrong: str, known: Sequence[str], what: str) -> str:
    """What may have been meant: the nearest, or the first of all."""
    close = difflib.get_close_matches(wrong, known[:COMPARED_MAX], 1)
    if close:
        return f"did you mean {close[0]}?"
    if not known:
        return "no device has any label" if what == "labels" else f"there are no {what}"
    more = f" and {len(known) - LISTED_MAX} more" if len(known) > LISTED_MAX else ""
    return f"{what} are {', '.join(sorted(known)[:LISTED_MAX])}{more}"


def ignored_notes(device_id: str, ignored: Mapping[str, int]) -> list[str]:
    """The note on fields of a device's events that no route knows, and in how many events each was."""
    names = ", ".join(list(ignored)[:LISTED_MAX])
    route = f"/api/v1/devices/{device_id}/metrics"
    what_to_do = f"report values as metrics: define them at /api/v1/metrics/definitions, and send them to {route}"
    return [f"events of this device have fields that are ignored: {names}; {what_to_do}"]


def ahead_notes(
    where: Samples,
    metrics: Iterable[tuple[int, MetricDefinition]],
    window: Window,
    *,
    device: int | None = None,
    codes: NDArray[np.int32] | None = None,
) -> list[str]:
    """Notes on samples whose sent_at is now or later: a window that ends now leaves them out.

    Args:
        metrics: number and definition of each.
        device: whose samples; None: of those with a code of 0 or more in `codes`.
        codes: int32, shape (devices,), by device number.
    """
    notes: list[str] = []
    if not window.ends_now:
        return notes
    end_ns = window.end_ns
    live = [samples for samples in where.live if len(samples) and int(samples.at_ns.max()) >= end_ns]
    blocks = [block for block in where.manifest.samples if block.end_ns > end_ns]
    for number, metric in metrics:
        pieces = [samples.where((samples.metrics == number) & (samples.at_ns >= end_ns)) for samples in live]
        for block in blocks:
            if block.kind == metric.kind and RAW in block.files:
                with suppress(DamagedData):  # the figures themselves say what is missing
                    pieces += where.history.samples(block, SampleRange(number, device, end_ns, block.end_ns))
        if count := sum(_count_of(piece.devices, device, codes) for piece in pieces):
            text = f"{count_text(count, 'sample')} of {metric.name} ahead of now"
            notes.append(f"{text}: the window ends now, and leaves out what comes later")
    return notes


def _count_of(devices: NDArray[np.uint32], device: int | None, codes: NDArray[np.int32] | None) -> int:
    """How many of these rows are of the devices that are asked for."""
    if device is not None:
        return int((devices == device).sum())
    assert codes is not None
    return int((codes[devices[devices < len(codes)]] >= 0).sum())
