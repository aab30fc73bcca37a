"""The files that commands write: whole or not at all, and never in place of another without --force."""

import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

from cyclopts import Parameter

from fleetpulse.cli.terminal import is_output_broken, write_bytes
from fleetpulse.errors import SettingsError


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Output:
    """Where the result goes.

    Attributes:
        output: File to write; `-` is standard output (default: standard output).
        force: Replace the file if there is one already.
    """

    output: Annotated[Path | None, Parameter(name=["--output", "-o"], metavar="FILE")] = None
    force: bool = False

    @property
    def path(self) -> Path | None:
        """The file; None is standard output."""
        return None if self.output is None or str(self.output) == "-" else self.output

    def check(self) -> None:
        """Raises: SettingsError: the file is there already, and is not to be replaced. To be called before any work."""
        if self.path is not None and self.path.is_file() and not self.force:
            raise SettingsError(f"{self.path} is there already: name another file with -o, or replace it with --force.")

    def write(self, body: bytes) -> None:
        """Write all of it. Raises: SettingsError: it cannot be written."""
        with self.open() as file:
            file.write(body)

    @contextmanager
    def open(self) -> Generator[IO[bytes], None, None]:
        """Where the bytes go. A file gets its name only when it is whole: one that broke off is not kept.

        Raises: SettingsError: it is there already, or cannot be written.
        """
        self.check()
        if self.path is None:
            write_bytes(b"")
            yield sys.stdout.buffer
            return
        # What is no file, such as /dev/null or a pipe, must not be replaced by one.
        is_special = self.path.exists() and not self.path.is_file()
        part = self.path if is_special else self.path.with_name(f"{self.path.name}.part")
        try:
            with part.open("wb") as file:
                yield file
            if not is_special:
                part.replace(self.path)
        except OSError as error:
            if error.filename is None and not is_output_broken(error):
                raise
            text = f"{self.path} cannot be written: {error.strerror}. Name another file with -o."
            raise SettingsError(text) from error
        finally:
            if not is_special:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
