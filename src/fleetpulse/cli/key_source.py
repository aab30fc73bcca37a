"""The key that a command sends: from a file or the environment, and never from an argument, which others could see."""

import os
from collections.abc import Mapping
from pathlib import Path

from fleetpulse.errors import SettingsError

KEY_VARIABLE, KEY_FILE_VARIABLE = "FLEETPULSE_KEY", "FLEETPULSE_KEY_FILE"
_CHARS_MAX = 16_384


def read_key(file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The key, or the token of an issuer; empty where none is given.

    `file` counts before FLEETPULSE_KEY, and that before FLEETPULSE_KEY_FILE. Raises: SettingsError: there is no key in
    the file, or it cannot be read.
    """
    if file is None and (key := environment.get(KEY_VARIABLE, "").strip()):
        return _checked(key, f"the environment ({KEY_VARIABLE})")
    path = file or (Path(name) if (name := environment.get(KEY_FILE_VARIABLE)) else None)
    if path is None:
        return ""
    if path.name.startswith("fp_"):
        raise SettingsError(
            "--key-file takes the name of a file, not a key, which others can see among the arguments of a process: "
            "write it to a file, and have another one made, since this one was shown."
        )
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as lines:
            return _checked(lines.read(_CHARS_MAX).strip(), str(path))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}. Name another file with --key-file.") from error


def _checked(key: str, place: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(f"there is no key in {place}: it must be one line such as fp_read_h_….")
    return key
