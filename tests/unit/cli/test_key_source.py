from pathlib import Path

import pytest

from fleetpulse.cli.key_source import read_key
from fleetpulse.errors import SettingsError


def test_the_file_counts_before_the_key_and_that_before_the_file_of_the_environment(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("fp_read_1_a\n")
    second.write_text("\ufefffp_read_2_b\r\n")
    environment = {"FLEETPULSE_KEY": "fp_read_3_c", "FLEETPULSE_KEY_FILE": str(second)}
    assert read_key(first, environment) == "fp_read_1_a"
    assert read_key(None, environment) == "fp_read_3_c"
    assert read_key(None, environment | {"FLEETPULSE_KEY": ""}) == "fp_read_2_b"
    assert read_key(None, {}) == ""


@pytest.mark.parametrize("text", ["", "\n", "two words", "a\nb", "caf\u00e9", "a\x00b"])
def test_a_file_without_a_key_is_refused_and_its_text_is_not_shown(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(SettingsError, match="there is no key in") as refused:
        read_key(path, {})
    assert not text.strip() or text not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_key(tmp_path / "gone", {})
