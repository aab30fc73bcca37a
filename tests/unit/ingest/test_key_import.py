import pytest

from fleetpulse.errors import Malformed, OutOfRange, TooLarge
from fleetpulse.ingest.key_import import keys_csv, read_ids

KNOWN = {"a", "b", "=x"}


@pytest.mark.parametrize(
    "body", [b"device_id\na\nb\n", b"\xef\xbb\xbfdevice_id;site;interval\r\na;paris;5m\r\n\r\nb;;\r\n"]
)
def test_the_first_column_counts(body: bytes) -> None:
    assert read_ids(body, lines_max=9, known=KNOWN) == ["a", "b"]


def test_ids_survive_the_way_through_a_spreadsheet() -> None:
    assert keys_csv([("=x", "fp_device_1_x"), ("a", "fp_device_2_y")]) == (
        b"device_id,key\r\n'=x,fp_device_1_x\r\na,fp_device_2_y\r\n"
    )
    assert read_ids(b"device_id\n'=x\n", lines_max=9, known=KNOWN) == ["=x"]


@pytest.mark.parametrize(
    ("body", "error", "text"),
    [
        (b"", Malformed, "header"),
        (b"a\nb\n", Malformed, "device_id"),
        (b"device_id\na\nc\n", OutOfRange, "1 device of the file is not known .c.: declare"),
        (b"device_id\na\nc\nd\n", OutOfRange, "2 devices of the file are not known .c, d."),
        (b"device_id\na\na\n", OutOfRange, "line 3"),
        (b"device_id\na b\n", OutOfRange, "line 2"),
        (b"device_id\n" + b"a\n" * 10, TooLarge, "bulk_lines_max"),
    ],
)
def test_a_file_that_is_wrong_makes_no_key(body: bytes, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        read_ids(body, lines_max=9, known=KNOWN)
