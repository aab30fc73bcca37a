"""A catalog that has moved, or is being moved, says so: no service starts on it, so that never two go on from one."""

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.move_records import MoveNote
from fleetpulse.errors import MovedAway
from fleetpulse.notation.timestamp import format_rfc3339


def check_is_here(catalog: Catalog, *, place: str) -> None:
    """See that a service may start here. `place`: where it is, for people.

    Raises: MovedAway: its data is elsewhere now, or not whole yet. DamagedData; DatabaseBusy.
    """
    note = catalog.moves.note()
    if note is not None:
        raise MovedAway(sentence(note, place))


def sentence(note: MoveNote, place: str) -> str:
    """What a note says, and what to do."""
    when = format_rfc3339(note.at_ns)
    match note.state:
        case "left":
            return (
                f"this service was moved at {when} from {place} to {note.other}, and goes on there: start it there. "
                f"To go on here instead, without what was accepted there, see `fleetpulse move --take-back --from "
                f"{place} --to {note.other}`; to bring all of it back, move it from there into an empty place."
            )
        case "leaving":
            return (
                f"a move of {place} to {note.other} was begun at {when}, and is not finished: run the same `fleetpulse "
                f"move` again, which goes on where it was, or give it up with `fleetpulse move --take-back --from "
                f"{place}`."
            )
        case "arriving":
            return (
                f"{place} is not whole: a move from {note.other} to here was begun at {when}, and is not finished. Run "
                "the same `fleetpulse move` again, which goes on where it was."
            )
