"""Records of a CSV: a badly quoted one is an error by itself, whatever stands around it."""

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.ingest.csv_records import RECORD_CHARS_MAX, read_records
from fleetpulse.limits import BulkLimits


def read(text: str) -> list[tuple[int, list[str] | str]]:
    """(line, cells or the word ERROR) of each record."""
    records = read_records(io.StringIO(text, newline=""))
    return [(record.line, "ERROR" if record.error else record.cells) for record in records]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("start", ["", "\n\n", "  \n"])
def test_the_separator_is_what_follows_device_id(separator: str, end: str, start: str) -> None:
    others = [mark for mark in ",;\t" if mark != separator]
    lines = [["Device_ID", "site"], ["a", "par" + "".join(others) + "is"], ["b", f'"x{separator}y"']]
    text = start.replace("\n", end) + end.join(separator.join(line) for line in lines)
    found = [cells for _, cells in read(text) if any(map(str.strip, cells))]
    assert found == [["Device_ID", "site"], ["a", "par" + "".join(others) + "is"], ["b", f"x{separator}y"]]


def test_a_line_that_names_the_separator_is_left_out() -> None:
    assert read("sep=;\r\ndevice_id;site\r\na;b,c\r\n") == [(2, ["device_id", "site"]), (3, ["a", "b,c"])]
    assert read('"device_id"; site\na;b') == [(1, ["device_id", "site"]), (2, ["a", "b"])]
    assert read("id;site\na,b") == [(1, ["id;site"]), (2, ["a", "b"])]  # no header of devices
    assert read("") == read(" \n")[:0] == []


@pytest.mark.parametrize("bad", ['x,"a"b', 'x,"a" b,c', 'x,"open', '"x,y', 'x,"a""', 'x,"open,"more"'])
@pytest.mark.parametrize("count", [1, 3])
def test_a_badly_quoted_record_is_refused_and_the_others_are_read(bad: str, count: int) -> None:
    lines = ["device_id,note", 'a,"two\nlines"', *[bad] * count, "b,plain", 'c,"quo""ted"', "d,last"]
    found = read("\n".join(lines))
    bad_lines = [(4 + place, "ERROR") for place in range(count)]
    rest = [(4 + count, ["b", "plain"]), (5 + count, ["c", 'quo"ted']), (6 + count, ["d", "last"])]
    assert found == [(1, ["device_id", "note"]), (3, ["a", "two\nlines"]), *bad_lines, *rest]


@given(st.lists(st.lists(st.text(alphabet='ab",;\n \t', max_size=6), min_size=2, max_size=3), max_size=6))
def test_what_is_written_rightly_is_read_rightly(rows: list[list[str]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerows([["device_id", "note", "site"], *rows])
    expected = [[cell.lstrip(" ") if not set(cell) & set('",\n') else cell for cell in row] for row in rows]
    assert [cells for _, cells in read(file.getvalue())][1:] == expected


def test_open_quotes_cost_a_bounded_time() -> None:
    text = "device_id,note\n" + 'x,"y\n' * 200_000
    started_s = time.process_time()
    with pytest.raises(csv.Error):
        read(text + "z,a" * RECORD_CHARS_MAX)
    assert time.process_time() - started_s < 10
    errors = read("device_id,note\n" + 'x,"y"z\n' * BulkLimits.csv_bad_records_max)
    assert [cells for _, cells in errors[1:]] == ["ERROR"] * BulkLimits.csv_bad_records_max
