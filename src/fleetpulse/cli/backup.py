"""`fleetpulse backup`: everything that a running service has acknowledged, as one file."""

import sys
from collections.abc import Iterator
from typing import IO, cast

from cyclopts import App

from fleetpulse.backup_archive import BackupNote, Listed, read_archive
from fleetpulse.cli.export import progress
from fleetpulse.cli.flags import Address
from fleetpulse.cli.output_file import Output
from fleetpulse.errors import SettingsError
from fleetpulse.notation.count import count_text

app = App(name="backup", help_epilogue="Example:\n  fleetpulse backup -o fleet.tar")


class _Copied:
    """The pieces of an answer, as a file to read that also writes what it gives to another."""

    def __init__(self, pieces: Iterator[bytes], output: IO[bytes]) -> None:
        self._pieces, self._output = pieces, output
        self._rest = b""

    def read(self, size: int) -> bytes:
        """The next bytes, `size` of them unless it is the end."""
        parts, left = [], size
        while left:
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
                self._output.write(self._rest)
            part, self._rest = self._rest[:left], self._rest[left:]
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def drain(self) -> None:
        """Copy what is left."""
        for piece in self._pieces:
            self._output.write(piece)


@app.default
def backup(*, address: Address = Address(), output: Output = Output()) -> None:
    """Back up a running service into one file.

    The service goes on meanwhile. Every file in it is checked against its checksum as it arrives; what is not whole is
    not kept. `fleetpulse restore` makes a data folder of it. No secrets are in it: keep admin.key, keys and
    certificates yourself.
    """
    if output.path is None and sys.stdout.isatty():
        raise SettingsError("A backup is not for terminals: name a file with -o FILE, or lead the output into one.")
    with address.client() as client, progress() as advance, output.open() as file:

        def pieces() -> Iterator[bytes]:
            for piece in client.stream("/api/v1/backup"):
                advance(len(piece))
                yield piece

        copied = _Copied(pieces(), file)
        note = read_archive(cast("IO[bytes]", copied), _take)
        copied.drain()
    print(_summary(note), file=sys.stderr)


def _take(_listed: Listed, pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass


def _summary(note: BackupNote) -> str:
    size = sum(listed.bytes for listed in note.files)
    text = (
        f"Backed up {count_text(len(note.files), 'file')}, {size / 1e6:.1f} MB, as of {note.begun_at}; all are whole."
    )
    if note.missing:
        text += f"\nBlocks that were damaged or missing already are not in it: {', '.join(note.missing)}."
    return text
