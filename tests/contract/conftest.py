"""Every catalog, for the pages that say what all of them promise."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.catalog.sqlite import SqliteCatalog

Reopen = Callable[[], Catalog]


@pytest.fixture(params=["sqlite"])
def reopen(tmp_path: Path) -> Iterator[Reopen]:
    """Opens the same catalog again and again."""
    opened: list[Catalog] = []

    def make() -> Catalog:
        for catalog in opened:
            catalog.close()
        opened[:] = [SqliteCatalog(tmp_path / "catalog.sqlite")]
        return opened[0]

    yield make
    for catalog in opened:
        catalog.close()
