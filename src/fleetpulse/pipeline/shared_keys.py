"""The keys with which a cluster signs, in the catalog: what one node has signed every other one must know again.

On one machine they are files of the data folder (`token_key_file.py`, `link_key_file.py`), which no other node has.
"""

import secrets
from pathlib import Path

import structlog

from fleetpulse.access.token_keys import read_token_keys, renewed, write_token_keys
from fleetpulse.catalog.catalog import Catalog
from fleetpulse.pipeline.link_key_file import KEY_BYTES, LINK_KEY, LinkKeyFile
from fleetpulse.pipeline.token_key_file import TOKEN_KEY, TokenKeyFile

log = structlog.get_logger("people")


class SharedTokenKeys(TokenKeyFile):
    """See TokenKeyFile. On the catalog's thread."""

    def __init__(self, catalog: Catalog, *, renew_s: float, keep_s: float) -> None:
        super().__init__(Path(), renew_s=renew_s, keep_s=keep_s)
        self._catalog = catalog

    def load(self) -> None:
        """Read the keys. Blocks. Raises: DamagedData; DatabaseBusy."""
        try:
            self.keys = read_token_keys(self._catalog.secret(TOKEN_KEY))
        except ValueError as error:
            todo = "nothing: everybody has to sign in again"
            log.error("the keys of tokens in the catalog cannot be read", error=str(error), todo=todo)

    def renew(self, now_s: int) -> None:
        """Make a key where the newest is too old, unless another node has. Blocks. Raises: OSError; DatabaseBusy."""
        if renewed(self.keys, now_s=now_s, renew_s=self._renew_s, keep_s=self._keep_s) == self.keys:
            return
        with self._catalog.transaction():
            self.load()
            keys = renewed(self.keys, now_s=now_s, renew_s=self._renew_s, keep_s=self._keep_s)
            if keys != self.keys:
                self._catalog.put_secret(TOKEN_KEY, write_token_keys(keys))
        self.keys = keys


class SharedLinkKey(LinkKeyFile):
    """See LinkKeyFile. The key is read, or made, at the start; afterwards any thread may ask for it."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(Path())
        self._catalog = catalog

    def load(self) -> None:
        """Read the key, or make it. Blocks; for the start, on the catalog's thread. Raises: OSError; DatabaseBusy."""
        with self._catalog.transaction():
            found = self._catalog.secret(LINK_KEY)
            if not found:
                found = secrets.token_hex(KEY_BYTES)
                self._catalog.put_secret(LINK_KEY, found)
        self._key = bytes.fromhex(found)
