"""Numbers with their nouns."""

from fleetpulse.notation.count import count_text


def test_one_is_singular_and_every_other_number_plural() -> None:
    texts = [count_text(count, "device") for count in (0, 1, 2)]
    assert texts == ["0 devices", "1 device", "2 devices"]
    assert [count_text(count, "entry", "entries") for count in (1, 3)] == ["1 entry", "3 entries"]
