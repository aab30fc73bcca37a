"""The records of a CSV, of which a badly quoted one spoils only itself.

Python's reader gives up at a stray quote, and takes all that follows a quote that is not closed for one cell. Here such
a record is an error of its own, and reading goes on at the line behind its first one.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fleetpulse.limits import BulkLimits

RECORD_CHARS_MAX = 32_768
"""Of a record with line ends in its cells; a device cannot have as much. It bounds how far an open quote reaches."""
_SEPARATOR = re.compile(r"""\s*"?device_id"?[ ]*([,;\t])""", re.IGNORECASE)
_SEPARATOR_LINE = re.compile(r""""?sep=([,;\t])"?\s*""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its cells, or, where `error` is not empty, what is wrong with it.

    `line`: the number of its last line; of a wrong one, of its first line.
    """

    line: int
    cells: list[str]
    error: str = ""


def read_records(text: Iterable[str], *, bad_records_max: int = BulkLimits.csv_bad_records_max) -> Iterator[Record]:
    """The records of a CSV whose header begins with `device_id`, separated by what follows it: `,`, `;` or a tab.

    Without such a header the separator is a comma. A first line `sep=;`, as spreadsheets have it, is left out.
    Raises: csv.Error: more than `bad_records_max` records are badly quoted. The rest is not read, since each of them
    may cost RECORD_CHARS_MAX characters again.
    """
    lines = _Lines(text)
    separator = lines.find_separator()
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    bad = 0
    while True:
        lines.begin_record()
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            bad += 1
            if bad > bad_records_max:
                text = (
                    f"more than {bad_records_max} records are badly quoted (csv_bad_records_max), the last one: {error}"
                )
                raise csv.Error(text) from error
            yield Record(lines.go_back(), [], f"it is badly quoted ({error}); write a quote within a cell twice")
            rows = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        else:
            yield Record(lines.number, cells)


class _Lines(Iterator[str]):
    """Lines for Python's reader, which can be given to it again."""

    def __init__(self, text: Iterable[str]) -> None:
        self.number = 0
        """How many lines were read, so the number of the last one."""
        self._source = iter(text)
        self._again: deque[str] = deque()
        self._record: list[str] = []
        self._record_chars = 0

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._source)
        self.number += 1
        if self._record:
            self._record_chars += len(line)
            if self._record_chars > RECORD_CHARS_MAX:
                self._record.append(line)
                raise csv.Error("a quote is not closed")
        self._record.append(line)
        return line

    def find_separator(self) -> str:
        """Look for the header, which stays to be read."""
        for line in self:
            if line.strip():
                break
        else:
            return ","
        named = _SEPARATOR_LINE.fullmatch(line)
        if named is not None:
            return named[1]
        found = _SEPARATOR.match(line)
        self._again.extend(self._record)
        self.number = 0
        return "," if found is None else found[1]

    def begin_record(self) -> None:
        """The next line begins a record."""
        self._record.clear()
        self._record_chars = 0

    def go_back(self) -> int:
        """Give all lines of this record but the first again; the number of the first one."""
        self._again.extendleft(reversed(self._record[1:]))
        self.number -= len(self._record) - 1
        return self.number
