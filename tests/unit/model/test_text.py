import re

import pytest

from fleetpulse.model.text import NAME_PATTERN, check_text, is_name


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [("cpu", True), ("_a.b-c", True), ("a" * 64, True), ("", False), ("1a", False), ("a" * 65, False), ("é", False),
     ("a b", False), ("a\n", False)],
)  # fmt: skip
def test_a_name_begins_with_a_letter_and_is_short(text: str, is_valid: bool) -> None:
    assert is_name(text) is is_valid
    assert bool(re.search(f"^{NAME_PATTERN}$", text) and text[-1:] != "\n") is is_valid


@pytest.mark.parametrize("text", ["x" * 11, "a\0b"])
def test_a_text_that_is_too_long_or_has_a_nul_is_refused_by_the_name_of_its_field(text: str) -> None:
    check_text("x" * 10, field="note", chars_max=10)
    with pytest.raises(ValueError, match="note must be at most 10 characters, none of them NUL"):
        check_text(text, field="note", chars_max=10)
