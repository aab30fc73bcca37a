"""Fields that no route knows are counted by name, in bounded memory."""

from fleetpulse.ingest.unknown_fields import NAME_CHARS_MAX, NAMES_OF_DEVICE_MAX, NAMES_SHOWN_MAX, OTHERS, UnknownFields

KNOWN = ("sent_at",)


def test_fields_are_counted_by_device_and_name_the_most_frequent_first() -> None:
    fields = UnknownFields(100)
    fields.look(1, b'{"sent_at": "x", "battery": 5, "rssi": {"a": [1, 2]}}', KNOWN)
    fields.look(1, b'\xef\xbb\xbf{"rssi": null, "sent_at": "2026-01-01T00:00:00,5Z"}', KNOWN)
    fields.look(2, b'{"sent_at": "x,y"}', KNOWN)
    assert list(fields.of(1).items()) == [("rssi", 2), ("battery", 1)]
    assert (fields.of(2), dict(fields.by_name)) == ({}, {"rssi": 2, "battery": 1})


def test_names_are_bounded_in_length_and_number_of_a_device_and_of_all() -> None:
    fields = UnknownFields(NAMES_OF_DEVICE_MAX + 3)
    for number in range(500):
        fields.count(1, [f"n{number}"])
    assert len(fields.of(1)) == NAMES_OF_DEVICE_MAX + 1
    assert fields.of(1)[OTHERS] == 500 - NAMES_OF_DEVICE_MAX
    assert len(fields.by_name) == NAMES_SHOWN_MAX + 1
    assert fields.by_name.total() == 500
    for device in range(2, 50):
        fields.count(device, ["x" * 9_000])
    assert [device for device in range(2, 50) if fields.of(device)] == [2, 3, 4]
    assert list(fields.of(2)) == ["x" * NAME_CHARS_MAX + "…"]


def test_a_body_that_cannot_be_read_again_is_counted_without_a_name() -> None:
    fields = UnknownFields(10)
    fields.look(1, b'{"a": ', KNOWN)
    assert fields.of(1) == {OTHERS: 1}
