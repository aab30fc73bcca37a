"""A new admin key in the data folder of a service that is stopped."""

from pathlib import Path

import pytest

from fleetpulse.catalog.sqlite import SqliteCatalog
from fleetpulse.cli.key_recovery import recover
from fleetpulse.data_folder import CATALOG
from fleetpulse.errors import SettingsError
from fleetpulse.model.audit import AuditFilter


def test_a_key_that_is_made_anew_stands_in_the_audit_log(tmp_path: Path) -> None:
    SqliteCatalog(tmp_path / CATALOG).close()
    number, path = recover(tmp_path)
    assert path.read_text().startswith("fp_admin_1_")
    catalog = SqliteCatalog(tmp_path / CATALOG)
    (entry,) = catalog.audit.page(AuditFilter(), before=None, limit=9)
    assert (entry.facts.who, entry.facts.action) == ("fleetpulse keys recover", "makeKey")
    assert entry.facts.subject == f"key {number}"
    catalog.close()


def test_a_folder_without_a_catalog_is_refused_with_both_ways(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--data, or, of several nodes, their catalog with --catalog"):
        recover(tmp_path)
