"""Standard output and the words of the command line, whatever the machine gives us: closed, full, or ASCII alone."""

import codecs
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from fleetpulse.errors import SettingsError

_ASCII = {"–": "-", "−": "-", "·": ".", "…": "...", "✓": "ok", "✗": "WRONG", "×": "x"}
_ASCII |= dict(zip("▁▂▃▄▅▆▇█", "12345678", strict=True))
_BROKEN = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT, errno.EFBIG)


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """What an encoding cannot write, in signs that every terminal has."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(_ASCII.get(char, "?") for char in text), error.end


def prepare(*, needs_output: bool) -> None:
    """Make standard output and standard error ready for any text.

    Raises: SettingsError: standard output is closed, and the command needs it.
    """
    codecs.register_error("fleetpulse.ascii", _in_ascii)
    if sys.stderr is None:
        sys.stderr = _nowhere()
    if sys.stdout is None:
        sys.stdout = _nowhere()
        if needs_output:
            raise SettingsError("standard output is closed, so there is nowhere to print to: lead it to a file.")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a test may have put another stream there
            stream.reconfigure(errors="fleetpulse.ascii")


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def check_words(words: Sequence[str]) -> None:
    """Raises: SettingsError: a word is not UTF-8."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            text = os.fsencode(word).decode("ascii", "backslashreplace")
            raise SettingsError(f"the argument `{text}` is not UTF-8: write it in UTF-8.") from None


def is_output_broken(error: OSError) -> bool:
    """Whether an error is that of standard output, which has no name as files have."""
    return error.filename is None and error.errno in _BROKEN


def leave_output() -> None:
    """Write nothing more to standard output: the interpreter would fail at it again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def write_bytes(body: bytes) -> None:
    """Write bytes to standard output as they are, such as JSON, which is UTF-8 on any terminal."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body)


def clean(text: str) -> str:
    """A text without characters that would steer the terminal."""
    return "".join(char if char.isprintable() else "·" for char in text)
