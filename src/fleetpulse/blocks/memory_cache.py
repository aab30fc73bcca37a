"""A cache of values read from blocks, bounded in bytes: beyond that, the least recently used entries are evicted."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from typing import TypeVar

_Value = TypeVar("_Value")
Key = tuple[str, str, *tuple[Hashable, ...]]
"""What a value is, the name of the file that it was read from, and more where it is not of the whole file."""


class MemoryCache:
    """A bounded look-up, used from several threads.

    Two threads that miss the same key at once both make its value, and one value stays.
    """

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._entries: OrderedDict[Key, tuple[object, int]] = OrderedDict()
        self._lock = threading.Lock()

    def keep_files(self, names: Collection[str]) -> None:
        """Evict the values of all other files: the second item of each key is the name of a file."""
        with self._lock:
            for key in [key for key in self._entries if key[1] not in names]:
                self.size_bytes -= self._entries.pop(key)[1]

    def find(self, key: Key) -> object | None:
        """The value of `key`, None where the cache lacks it."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self._entries.move_to_end(key)
            return found[0]

    def get(self, key: Key, make: Callable[[], tuple[_Value, int]], *, is_kept: bool = True) -> _Value:
        """The value of `key`. Where the cache lacks it, `make` returns it with its size in bytes.

        Args: is_kept: keep what was made, unless it is larger than the cache: it will be wanted again.
        """
        found = self.find(key)
        if found is not None:
            return found  # type: ignore[return-value]  # a key always has values of one type
        value, size_bytes = make()
        if not is_kept or size_bytes > self.bytes_max:
            return value  # keeping a large one would evict all the others first
        with self._lock:
            if key not in self._entries:
                self._entries[key] = (value, size_bytes)
                self.size_bytes += size_bytes
            while self.size_bytes > self.bytes_max and self._entries:
                self.size_bytes -= self._entries.popitem(last=False)[1][1]
        return value
