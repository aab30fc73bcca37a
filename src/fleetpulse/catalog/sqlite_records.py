"""How the parts of the catalog, each of which keeps tables of its own, share one database."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class SqliteRecords:
    """A part of the catalog, with the ways to the database that the catalog gives it."""

    _transaction: Callable[[], AbstractContextManager[Any]]
    _reading: Callable[[], AbstractContextManager[None]]
    _select: Callable[..., Any]
