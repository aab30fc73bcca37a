import csv
import io
from pathlib import Path

import pytest

from fleetpulse.errors import DevicesFileError
from fleetpulse.ingest.devices_file import DeviceLine, read_devices, read_lines
from fleetpulse.model.device import Device


def read(text: str) -> list[DeviceLine]:
    return list(read_lines(io.StringIO(text, newline="")))


def test_columns_are_labels_but_for_interval_grace_and_note() -> None:
    text = "device_id,site,interval,grace,note\na,paris,5m,0,by the door\nb,,,,\n"
    assert [line.device for line in read(text)] == [Device("a", {"site": "paris"}, 300, 0, "by the door"), Device("b")]


def test_blank_lines_spaces_quotes_and_carriage_returns_are_allowed() -> None:
    lines = read(' Device_ID , site \r\n\r\n  a-1 , "paris, nord"\r\n,\r\n"b:2",\r\n')
    assert [(line.number, line.device) for line in lines] == [
        (3, Device("a-1", {"site": "paris, nord"})),
        (5, Device("b:2")),
    ]


def test_cells_that_an_export_guarded_are_read_as_they_were() -> None:
    assert read("device_id,site\n'=a,'-x\n")[0].device == Device("=a", {"site": "-x"})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("a b", "`a b` is no device id"),
        ("a,b,c", "3 cells, but the header names 2 columns"),
        ("a," + "x" * 201, "label site must have"),
        (",paris", "is no device id"),
    ],
)
def test_a_wrong_line_says_what_is_wrong_and_the_others_are_read(line: str, text: str) -> None:
    first, wrong, last = read(f"device_id,site\nok\n{line}\nlast\n")
    assert (first.device, last.device, wrong.device, wrong.number) == (Device("ok"), Device("last"), None, 3)
    assert text in wrong.error


@pytest.mark.parametrize(
    ("text", "error"),
    [("", "it is empty"), ("\n\n", "it is empty"), ("name\na\n", "must be `device_id`, not `name`"),
     ("device_id,a,a\n", "named twice: a, a"), ("device_id,device_id\n", "named twice")],
)  # fmt: skip
def test_without_a_right_header_nothing_is_read(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        read(text)


def test_what_is_no_csv_is_an_error() -> None:
    with pytest.raises(csv.Error):
        read('device_id\n"a\n')


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"device_id\nok\na b\n", "line 3: `a b` is no device id"),
     (b"device_id\n\xff\n", "cannot be read as CSV in UTF-8"),
     (b"name\n", "line 1: the header"), (None, "does not exist. Write it .* with --devices")],
)  # fmt: skip
def test_a_wrong_file_is_named_with_the_line_and_what_to_do(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "fleet.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DevicesFileError, match=rf"fleet\.csv.*{text}"):
        list(read_devices(path))


def test_a_byte_order_mark_is_allowed_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_bytes(b"\xef\xbb\xbfdevice_id\na\n")
    assert list(read_devices(path)) == [Device("a")]
