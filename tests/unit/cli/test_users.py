"""`fleetpulse users`: how people are shown, and from where a password is read."""

import io
from pathlib import Path

import pytest

from cli_text import printed
from fleetpulse.cli.users import people_table, read_password
from fleetpulse.errors import SettingsError
from fleetpulse.query.person_answers import Person

SINCE = "2026-11-24T08:30:00Z"


def test_people_are_listed_with_what_they_may_do() -> None:
    people = [
        Person(name="alice", role="read", scope=["site:paris"], is_disabled=False, created_at=SINCE, sessions=2),
        Person(name="bob", role="admin", scope=[], is_disabled=True, created_at=SINCE, sessions=0),
    ]
    text = " ".join(printed(people_table(people)).split())
    assert f"alice read site:paris 2 {SINCE}" in text
    assert f"bob admin all devices disabled 0 {SINCE}" in text


@pytest.mark.parametrize("text", ["seven lathes hum\n", "seven lathes hum\r\nsecond line\n", "\ufeffseven lathes hum"])
def test_the_password_is_the_first_line_of_a_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "password").write_bytes(text.encode())
    assert read_password(tmp_path / "password", "alice") == "seven lathes hum"


@pytest.mark.parametrize("content", [b"", b"\nsecond", b"\xff\xfe\x00"])
def test_a_file_without_a_password_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "password").write_bytes(content)
    with pytest.raises(SettingsError, match="password"):
        read_password(tmp_path / "password", "alice")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_password(tmp_path / "none", "alice")


def test_without_a_terminal_nobody_can_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("seven lathes hum\n"))
    with pytest.raises(SettingsError, match="--password-file"):
        read_password(None, "alice")
    assert read_password(Path("-"), "alice") == "seven lathes hum"


def test_a_password_is_typed_twice_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter(["seven lathes hum", "seven lathes hum", "one", "two"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))
    assert read_password(None, "alice") == "seven lathes hum"
    with pytest.raises(SettingsError, match="differ"):
        read_password(None, "alice")
