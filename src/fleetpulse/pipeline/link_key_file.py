"""The file `link.key` of the data folder, which only its owner may read: the key of links in messages."""

import hmac
import os
import secrets
import threading
from pathlib import Path

import structlog

from fleetpulse.disk import sync_folder

log = structlog.get_logger("deliveries")
LINK_KEY = "link.key"
KEY_BYTES = 32


class LinkKeyFile:
    """The key of the file, which is made when it is first needed. From any thread.

    Where the file is lost, links of earlier messages end, and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LINK_KEY
        self._key = b""
        self._lock = threading.Lock()

    def load(self) -> None:
        """Nothing: the file is read when the key is first needed. Other keeps of the key are read at the start."""

    def key(self) -> bytes:
        """The key: 32 bytes. Blocks at the first time. Raises: OSError."""
        with self._lock:
            if not self._key:
                self._key = self._read() or self._make()
            return self._key

    def fingerprint(self, text: str) -> str:
        """What a text is known by, that must not be shown. Blocks at the first time. Raises: OSError."""
        return hmac.new(self.key(), b"fingerprint " + text.encode(), "sha256").hexdigest()[:12]

    def _read(self) -> bytes:
        try:
            found = bytes.fromhex(self.path.read_text("ascii").strip())
            if len(found) != KEY_BYTES:
                raise ValueError(f"it has {len(found)} bytes, and not {KEY_BYTES}")
        except FileNotFoundError:
            return b""
        except (OSError, ValueError) as error:
            text = "links of earlier messages end"
            log.error(
                "the key of links cannot be read and is made anew", path=str(self.path), error=str(error), so=text
            )
            return b""
        if self.path.stat().st_mode & 0o077:
            todo = f"chmod 600 {self.path}; if anybody read it, remove it, and links of earlier messages end"
            log.warning("others may read the key of links", path=str(self.path), todo=todo)
        return found

    def _make(self) -> bytes:
        made = secrets.token_bytes(KEY_BYTES)
        new = self.path.with_name(f"{LINK_KEY}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(made.hex() + "\n")
            file.flush()
            os.fsync(descriptor)
        new.replace(self.path)
        sync_folder(self.path.parent)
        return made
