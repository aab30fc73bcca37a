from pathlib import Path

import pytest

from fleetpulse.errors import SettingsError
from fleetpulse.secret_files import BYTES_MAX, read_secret_file, s3_credentials
from fleetpulse.settings import load_settings


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n\n"])
def test_a_secret_is_read_without_line_ends(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    assert read_secret_file("A_FILE", str(path), {}) == "s3cret"
    assert s3_credentials({"AWS_SECRET_ACCESS_KEY_FILE": str(path)}) == {"secret_access_key": "s3cret"}


@pytest.mark.parametrize("content", [None, b"\xff", b"s3cret" * BYTES_MAX])
def test_what_is_none_is_refused_by_its_variable_and_not_shown(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match="A_FILE") as refused:
        read_secret_file("A_FILE", str(path), {})
    assert "s3cret" not in str(refused.value)


def test_a_value_and_a_file_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="both"):
        read_secret_file("A_FILE", str(tmp_path), {"A": "1"})
    with pytest.raises(SettingsError, match="both"):
        load_settings({}, {"FLEETPULSE_PORT": "1", "FLEETPULSE_PORT_FILE": str(tmp_path)}, None)


def test_every_setting_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "port"
    path.write_text("7000\n")
    assert load_settings({}, {"FLEETPULSE_PORT_FILE": str(path)}, None).port == 7_000
    assert load_settings({"port": "1"}, {"FLEETPULSE_PORT_FILE": str(path)}, None).port == 1
    with pytest.raises(SettingsError, match="unknown setting"):
        load_settings({}, {"FLEETPULSE_NONSENSE_FILE": str(path)}, None)
