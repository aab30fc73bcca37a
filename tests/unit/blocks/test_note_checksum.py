"""The checksum in a note."""

import json

from fleetpulse.blocks.note_checksum import CHECKSUM, has_sound_checksum, with_checksum

BODY = b'{"id":"x","generation":1}'


def test_a_note_with_its_checksum_is_the_same_object_with_one_more_field() -> None:
    note = json.loads(with_checksum(BODY))
    assert len(note.pop(CHECKSUM)) == 64
    assert note == json.loads(BODY)


def test_only_what_was_made_is_sound() -> None:
    body = with_checksum(BODY)
    assert has_sound_checksum(body)
    for wrong in (b"", b"{}", BODY, body[:-1], body + b" ", body.replace(b'"x"', b'"y"'), with_checksum(body)[:-1]):
        assert not has_sound_checksum(wrong)
