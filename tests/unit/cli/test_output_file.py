"""Files that commands write."""

from pathlib import Path

import pytest

from fleetpulse.cli.output_file import Output
from fleetpulse.errors import SettingsError


def test_a_file_that_is_there_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "report.md"
    Output(output=target).write(b"one")
    with pytest.raises(SettingsError, match="is there already: name another file with -o, or replace it with --force"):
        Output(output=target).write(b"two")
    assert target.read_bytes() == b"one"
    Output(output=target, force=True).write(b"two")
    assert target.read_bytes() == b"two"


def test_a_file_that_broke_off_is_not_kept(tmp_path: Path) -> None:
    target = tmp_path / "samples.csv"

    def break_off() -> None:
        with Output(output=target).open() as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be written: No such file or directory"):
        Output(output=tmp_path / "no" / "such").write(b"")


def test_what_is_no_file_is_not_replaced_by_one() -> None:
    Output(output=Path("/dev/null")).write(b"x")
    assert not Path("/dev/null").is_file()


def test_a_dash_is_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    Output(output=Path("-")).write(b"x")
    assert Output(output=Path("-")).path is None
