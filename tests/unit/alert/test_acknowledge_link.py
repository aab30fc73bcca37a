"""Tokens of links: what they name, and that nobody can make or change one."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from fleetpulse.alert.acknowledge_link import LinkTerms, WrongLink, digest_of, make_token, read_token
from fleetpulse.pipeline.link_key_file import LinkKeyFile

KEY = bytes(32)
TERMS = LinkTerms("hook", 1_764_000_000, 3, (1, 2), "key-1")


def test_a_token_says_what_it_acknowledges() -> None:
    assert read_token(KEY, make_token(KEY, TERMS)) == TERMS
    many = TERMS._replace(numbers=tuple(range(1_000)))
    assert read_token(KEY, make_token(KEY, many)).numbers == tuple(range(50))


def test_a_token_that_was_changed_in_any_place_is_refused() -> None:
    token = make_token(KEY, TERMS)
    for place in range(len(token)):
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(WrongLink):
            read_token(KEY, changed)


@pytest.mark.parametrize("token", ["", ".", "a.b", "é.é", "a" * 10_000, make_token(b"other" * 8, TERMS)])
def test_what_is_no_token_of_ours_is_refused(token: str) -> None:
    with pytest.raises(WrongLink):
        read_token(KEY, token)


def test_tokens_are_known_by_their_digest() -> None:
    assert len(digest_of("a")) == 32 and digest_of("a") != digest_of("b")


def test_the_key_is_kept_in_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    made = LinkKeyFile(tmp_path)
    key = made.key()
    assert len(key) == 32 and made.key() == key == LinkKeyFile(tmp_path).key()
    assert (tmp_path / "link.key").stat().st_mode & 0o777 == 0o600
    assert made.fingerprint("secret") == LinkKeyFile(tmp_path).fingerprint("secret") != made.fingerprint("Secret")


@pytest.mark.parametrize("content", ["nonsense", "", "00" * 31, "00" * 33, "é"])
def test_a_key_that_is_damaged_is_made_anew_and_that_is_said(content: str, tmp_path: Path) -> None:
    (tmp_path / "link.key").write_text(content)
    with capture_logs() as logs:
        made = LinkKeyFile(tmp_path).key()
    assert len(made) == 32 and made == LinkKeyFile(tmp_path).key()
    assert [one["event"] for one in logs if one["log_level"] == "error"] == [
        "the key of links cannot be read and is made anew"
    ]
