"""The file of the catalog; what its tables promise is tested in tests/contract."""

from pathlib import Path

import pytest

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.disk import Moved


def test_nothing_is_written_to_a_file_that_its_name_does_not_lead_to(tmp_path: Path) -> None:
    catalog = SqliteCatalog(tmp_path / "catalog.sqlite")
    mark = catalog.files.begin(at_ns=1)
    (tmp_path / "catalog.sqlite").rename(tmp_path / "moved")
    with pytest.raises(Moved, match=r"catalog\.sqlite is not what the service has opened"):
        catalog.files.begin(at_ns=2)
    assert catalog.files.written().marks == {mark}
    (tmp_path / "moved").rename(tmp_path / "catalog.sqlite")
    assert len({mark, catalog.files.begin(at_ns=3)}) == 2
    catalog.close()
