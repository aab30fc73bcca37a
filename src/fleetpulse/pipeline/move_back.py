"""Taking a move back: the source is the service again, and what was brought to the target may not be one."""

from fleetpulse.errors import MovedAway, SettingsError
from fleetpulse.pipeline.move_begin import MoveSide


def take_back(source: MoveSide, target: MoveSide | None, *, at_ns: int, is_gone: bool = False) -> None:
    """Let `source` start again. Where the target is given, it may not start any more.

    Args: is_gone: there is no target any more that might start.
    Raises: SettingsError: the source has not moved. MovedAway: the target has gone on since, so that taking back would
        lose what it has acknowledged; nothing was changed. OSError; DatabaseBusy.
    """
    note = source.catalog.moves.note()
    if note is None or note.state == "arriving":
        raise SettingsError(f"{source.place} was not moved anywhere: there is nothing to take back.")
    if note.state == "left" and target is None and not is_gone:
        raise SettingsError(
            f"{source.place} was moved to {note.other}, which may have gone on since. Name it with --to, so that it is "
            "looked at, and cannot start any more; if it is gone for good, say --gone."
        )
    if target is not None:
        arriving = target.catalog.moves.note()
        reached = target.journal.last_position(), target.catalog.transactions()
        is_same = target.catalog.files.identity() in {None, note.identity}
        if is_same and arriving is None and note.state == "left" and reached != (note.position, note.transactions):
            raise MovedAway(
                f"{target.place} has gone on since the move: its journal is at position {reached[0]}, and was at "
                f"{note.position}. Bring all of it back: stop it, and move it from there into an empty place."
            )
        if is_same and (arriving is None or arriving.id == note.id):
            target.catalog.moves.put_note(note._replace(state="arriving", other=source.place, at_ns=at_ns))
    source.catalog.moves.put_note(None)
