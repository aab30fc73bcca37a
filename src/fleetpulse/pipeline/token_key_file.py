"""The file `token.key` of the data folder, which only its owner may read; `access/token_keys.py` says what is in it."""

import os
from pathlib import Path

import structlog

from fleetpulse.access.token_keys import TokenKey, read_token_keys, renewed, write_token_keys
from fleetpulse.disk import sync_folder

log = structlog.get_logger("people")
TOKEN_KEY = "token.key"  # noqa: S105 - the name of the file


class TokenKeyFile:
    """The keys of the file. It is made when somebody signs in for the first time."""

    def __init__(self, folder: Path, *, renew_s: float, keep_s: float) -> None:
        """`renew_s`: the age from which on a key signs nothing new. `keep_s`: how long a token is valid at most."""
        self.path = folder / TOKEN_KEY
        self.keys: tuple[TokenKey, ...] = ()
        self._renew_s = renew_s
        self._keep_s = keep_s

    def load(self) -> None:
        """Read the file. Blocks. One that cannot be read is replaced at the next sign-in: it holds nothing else."""
        todo = "nothing: everybody has to sign in again"
        try:
            self.keys = read_token_keys(self.path.read_text("ascii"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.error("the keys of tokens cannot be read", path=str(self.path), error=str(error), todo=todo)
            return
        if self.path.stat().st_mode & 0o077:
            todo = f"chmod 600 {self.path}; if anybody read it, remove it, and everybody has to sign in again"
            log.warning("others may read the keys of tokens", path=str(self.path), todo=todo)

    def renew(self, now_s: int) -> None:
        """Make a key where the newest is too old, and forget those nobody needs. Blocks. Raises: OSError."""
        keys = renewed(self.keys, now_s=now_s, renew_s=self._renew_s, keep_s=self._keep_s)
        if keys == self.keys:
            return
        new = self.path.with_name(f"{TOKEN_KEY}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(write_token_keys(keys))
            file.flush()
            os.fsync(descriptor)
        new.replace(self.path)
        sync_folder(self.path.parent)
        self.keys = keys
