import csv
import io
from pathlib import Path

import pytest

from fleetpulse.errors import DevicesFileError
from fleetpulse.ingest.devices_file import DeviceLine, NamedDevice, read_devices, read_lines
from fleetpulse.limits import BulkLimits
from fleetpulse.model.device import Device


def read(text: str) -> list[DeviceLine]:
    return list(read_lines(io.StringIO(text, newline="")))


def device_of(line: DeviceLine) -> Device | None:
    return None if line.declared is None else line.declared.device


def test_columns_are_labels_but_for_interval_grace_and_note() -> None:
    text = "device_id,site,interval,grace,note\na,paris,5m,0,by the door\nb,,,,\n"
    assert [device_of(line) for line in read(text)] == [
        Device("a", {"site": "paris"}, 300, 0, "by the door"),
        Device("b"),
    ]


def test_blank_lines_spaces_quotes_and_carriage_returns_are_allowed() -> None:
    lines = read(' Device_ID , site \r\n\r\n  a-1 , "paris, nord"\r\n,\r\n"b:2",\r\n')
    assert [(line.number, device_of(line)) for line in lines] == [
        (3, Device("a-1", {"site": "paris, nord"})),
        (5, Device("b:2")),
    ]


def test_cells_that_an_export_guarded_are_read_as_they_were() -> None:
    assert device_of(read("device_id,site\n'=a,'-x\n")[0]) == Device("=a", {"site": "-x"})


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
    devices = [device_of(line) for line in (first, last, wrong)]
    assert (devices, wrong.number) == ([Device("ok"), Device("last"), None], 3)
    assert text in wrong.error


@pytest.mark.parametrize(
    ("text", "error"),
    [("", "it is empty"), ("\n\n", "it is empty"), ("name\na\n", "must be `device_id`, not `name`"),
     ("device_id,a,a\n", "named twice: a, a"), ("device_id,device_id\n", "named twice")],
)  # fmt: skip
def test_without_a_right_header_nothing_is_read(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        read(text)


def test_a_badly_quoted_line_is_refused_by_its_number_and_the_others_are_read() -> None:
    first, wrong, last = read('device_id,note\na,"x"\nb,"y\nc,z\n')
    assert [device_of(line) for line in (first, last)] == [Device("a", note="x"), Device("c", note="z")]
    assert (wrong.number, wrong.error[:19]) == (3, "it is badly quoted ")
    with pytest.raises(ValueError, match="line 1, the header: it is badly quoted"):
        read('device_id,"no"te\na,x\n')
    with pytest.raises(csv.Error):
        read("device_id,note\n" + 'a,"b"c\n' * (BulkLimits.csv_bad_records_max + 1))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("names", ["interval grace note", "Interval GRACE Note", "INTERVAL Grace nOTE"])
def test_reserved_columns_are_read_in_any_case_and_with_any_separator(separator: str, names: str) -> None:
    header = separator.join(["device_id", "Site", *names.split()])
    (line,) = read(
        f"{header}\n{separator.join(['a', 'paris', '5m', '0', 'by, the door'])}\n".replace("by, the", "by the")
    )
    assert device_of(line) == Device("a", {"Site": "paris"}, 300, 0, "by the door")


@pytest.mark.parametrize("header", ["device_id,Interval,interval", "device_id,Device_ID", "device_id,a,NOTE,note"])
def test_a_reserved_column_is_named_once_in_whatever_case(header: str) -> None:
    with pytest.raises(ValueError, match="named twice"):
        read(f"{header}\n")


def test_a_value_in_a_column_without_a_name_is_refused() -> None:
    lines = read("device_id,,site,\na,,paris,\nb,lost,lyon,\nc,,rome,lost\nd,,nice,,\n")
    assert [device_of(line) for line in lines] == [
        Device("a", {"site": "paris"}),
        None,
        None,
        Device("d", {"site": "nice"}),
    ]
    assert lines[1].error == "column 2 has the value `lost`, but no name in the header"
    assert lines[2].error == "column 4 has the value `lost`, but no name in the header"


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"device_id\nok\na b\n", "line 3: `a b` is no device id"),
     (b'device_id,note\na,"b"c\n', "line 2: it is badly quoted"),
     (b"device_id,\na,lost\n", "line 2: column 2 has the value `lost`"),
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
    assert list(read_devices(path)) == [NamedDevice(Device("a"))]


def test_a_line_names_the_columns_that_it_has_cells_for_and_an_empty_cell_is_no_value() -> None:
    text = "device_id,site,interval,note\na,paris,5m,\nb,\nc\n"
    named = [line.declared.named for line in read(text) if line.declared]
    assert named == [{"site": "paris", "interval": 300, "note": None}, {"site": None}, {}]


def test_of_an_id_with_several_lines_the_last_one_counts(tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text("device_id,site\na,x\nb,\na,y\nc,\n")
    assert [(line.device.id, line.named) for line in read_devices(path)] == [
        ("b", {"site": None}),
        ("c", {"site": None}),
        ("a", {"site": "y"}),
    ]


@pytest.mark.parametrize(
    ("content", "is_whole"),
    [("device_id,site\na,x\nb", False), ("device_id,site\na,x\nb,y", True), ("device_id,site\na,x\nb\n", True)],
)
def test_a_last_line_without_its_cells_and_its_end_is_half_written(
    tmp_path: Path, content: str, is_whole: bool
) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text(content)
    if is_whole:
        assert [line.device.id for line in read_devices(path)] == ["a", "b"]
        return
    with pytest.raises(DevicesFileError, match=r"line 3: .* half written"):
        list(read_devices(path))
