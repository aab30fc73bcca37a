"""The file with the keys of tokens: for its owner only, whole after a crash, and replaced where it is damaged."""

from pathlib import Path

from fleetpulse.pipeline.token_key_file import TOKEN_KEY, TokenKeyFile


def opened(folder: Path) -> TokenKeyFile:
    file = TokenKeyFile(folder, renew_s=100, keep_s=50)
    file.load()
    return file


def test_the_file_is_made_at_the_first_use_for_its_owner_only(tmp_path: Path) -> None:
    file = opened(tmp_path)
    assert file.keys == ()
    assert not file.path.exists()
    (tmp_path / f"{TOKEN_KEY}.new").write_text("left by a crash")
    file.renew(1_000)
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert opened(tmp_path).keys == file.keys
    assert sorted(path.name for path in tmp_path.iterdir()) == [TOKEN_KEY]
    before = file.path.stat().st_mtime_ns
    file.renew(1_050)
    assert file.path.stat().st_mtime_ns == before


def test_a_renewed_key_stays_beside_the_new_one_while_its_tokens_are_valid(tmp_path: Path) -> None:
    file = opened(tmp_path)
    for now_s, count in ((1_000, 1), (1_100, 2), (1_140, 2), (1_160, 1)):
        file.renew(now_s)
        assert len(file.keys) == count
        assert opened(tmp_path).keys == file.keys


def test_a_damaged_file_keeps_nobody_from_starting_and_is_replaced(tmp_path: Path) -> None:
    (tmp_path / TOKEN_KEY).write_bytes(b"\xff\x00 no key")
    file = opened(tmp_path)
    assert file.keys == ()
    file.renew(1_000)
    assert len(opened(tmp_path).keys) == 1
    file.path.chmod(0o644)
    assert len(opened(tmp_path).keys) == 1
