import pytest

from fleetpulse.errors import Malformed, TooLarge
from fleetpulse.ingest.devices_import import read_import
from fleetpulse.model.device import Device


def test_each_line_declares_a_device_or_is_refused() -> None:
    body = b"\xef\xbb\xbfdevice_id,site\na,paris\na b,\nb,lyon\na,rome\n"
    result = read_import(body, lines_max=10)
    devices = {device_id: line.device for device_id, line in result.devices.items()}
    assert devices == {"a": Device("a", {"site": "paris"}), "b": Device("b", {"site": "lyon"})}
    assert [line.number for line in result.refused] == [3, 5]
    assert "line 2 has a already" in result.refused[1].error


def test_a_badly_quoted_line_is_refused_and_the_others_are_taken() -> None:
    result = read_import(b'device_id;note\r\na;"open\r\nb;"good"\r\nc;"b"ad\r\nd;\r\n', lines_max=10)
    assert list(result.devices) == ["b", "d"]
    assert [line.number for line in result.refused] == [2, 4]


@pytest.mark.parametrize("body", [b"", b"name\na\n", b"device_id\n\xff\n", b'device_id,"a\nb,c\n'])
def test_a_body_that_is_no_csv_of_devices_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read_import(body, lines_max=10)


def test_too_many_lines_refuse_the_body() -> None:
    read_import(b"device_id\na\nb\n", lines_max=2)
    with pytest.raises(TooLarge, match="bulk_lines_max"):
        read_import(b"device_id\na\nb\nc\n", lines_max=2)
