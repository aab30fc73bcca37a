"""`serve` with a defect of the first argument, for the controls of the fault test, which must find it.

`early`: an entry is acknowledged before it is written, with the next one. `remover`: unknown files are removed.
`hasty`: a message counts as delivered before it is sent.
"""

import sys

from fleetpulse.blocks.store import FolderBlockStore
from fleetpulse.catalog.outbox_records import SqlOutboxRecords
from fleetpulse.cli.main import main
from fleetpulse.journal.sqlite import SqliteJournal
from fleetpulse.model.events import Position
from fleetpulse.model.outbox import OutboxEntry


def answer_early() -> None:
    """Let `append` return before the entry is on disk."""
    append = SqliteJournal.append
    unwritten: list[bytes] = []

    def append_later(self: SqliteJournal, body: bytes) -> Position:
        position = append(self, unwritten.pop()) if unwritten else self.last_position()
        unwritten.append(body)
        return position + 1

    SqliteJournal.append = append_later  # type: ignore[method-assign]  # the defect


def remove_unknown() -> None:
    """Remove what is not ours whenever the files are listed."""
    names = FolderBlockStore.names

    def names_of_ours(self: FolderBlockStore) -> set[str]:
        for name in names(self):
            if "foreign" in name:
                self.remove(name)
        return names(self)

    FolderBlockStore.names = names_of_ours  # type: ignore[method-assign]  # the defect


def deliver_hastily() -> None:
    """Record a message as delivered when it is read to be sent."""
    get = SqlOutboxRecords.get

    def get_and_record(self: SqlOutboxRecords, number: int) -> OutboxEntry | None:
        entry = get(self, number)
        self.delivered(number, outcome="", tries=1, at_ns=1)
        return entry

    SqlOutboxRecords.get = get_and_record  # type: ignore[method-assign]  # the defect


if __name__ == "__main__":
    {"early": answer_early, "remover": remove_unknown, "hasty": deliver_hastily}[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
