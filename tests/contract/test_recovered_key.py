"""A new admin key in the catalog of nodes that run."""

from contextlib import closing
from pathlib import Path

import pytest

from fleetpulse.catalog.postgres import PostgresCatalog
from fleetpulse.cli.key_recovery import recover
from fleetpulse.errors import SettingsError


def test_it_is_made_while_a_node_is_there_which_sees_it(postgres_url: str, tmp_path: Path) -> None:
    with closing(PostgresCatalog(postgres_url)) as node:
        before = node.version()
        number, path = recover(tmp_path, postgres_url)
        assert path.read_text().startswith(f"fp_admin_{number}_")
        assert path.stat().st_mode & 0o777 == 0o600
        changes = node.changes(before)
        assert changes.access_keys is not None
        assert list(changes.access_keys) == [number]
        record = node.keys.find(number)
        assert record is not None
        assert record.role == "admin"


def test_it_needs_a_folder_for_the_file(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is no folder"):
        recover(tmp_path / "none", postgres_url)
