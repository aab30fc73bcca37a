"""Signs that an encoding lacks, words that are not UTF-8, and errors of standard output."""

import errno

import pytest

from fleetpulse.cli.terminal import check_words, is_output_broken, prepare
from fleetpulse.errors import SettingsError


def test_signs_that_ascii_lacks_are_written_in_others() -> None:
    prepare(needs_output=True)
    assert "– ▁█ ✓ é".encode("ascii", "fleetpulse.ascii") == b"- 18 ok ?"


def test_a_word_that_is_not_utf8_is_named() -> None:
    check_words(["devices", "show", "café"])
    with pytest.raises(SettingsError, match=r"the argument `caf\\xe9` is not UTF-8"):
        check_words(["devices", "caf\udce9"])


def test_an_error_of_standard_output_is_told_from_that_of_a_file() -> None:
    assert is_output_broken(OSError(errno.ENOSPC, "full"))
    assert not is_output_broken(OSError(errno.ENOSPC, "full", "file"))
    assert not is_output_broken(OSError(errno.ENOENT, "none"))
