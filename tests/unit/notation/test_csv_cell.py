import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetpulse.notation.csv_cell import safe_cell, unguarded_cell

DANGEROUS = "=+-@\t\r\n＝＋－＠"


@given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n＝＋－＠ \u3000ab1"), max_size=6))
def test_an_import_reads_the_text_that_was_exported(text: str) -> None:
    assert unguarded_cell(str(safe_cell(text))) == text


@given(st.text(" \u00a0\u3000", max_size=3), st.sampled_from(DANGEROUS), st.text(max_size=5))
def test_no_cell_begins_like_a_formula(blanks: str, first: str, rest: str) -> None:
    assert str(safe_cell(blanks + first + rest))[0] == "'"


@pytest.mark.parametrize(("value", "cell"), [("press-7", "press-7"), (-5, -5), (2.5, 2.5), (None, ""), ("", "")])
def test_other_cells_stay_as_they_are(value: object, cell: object) -> None:
    assert safe_cell(value) == cell


def test_a_guarded_cell_survives_a_csv_file() -> None:
    file = io.StringIO()
    csv.writer(file).writerow([safe_cell("=1+1"), safe_cell("'=quoted"), safe_cell("plain")])
    cells = next(csv.reader(io.StringIO(file.getvalue())))
    assert [unguarded_cell(cell) for cell in cells] == ["=1+1", "'=quoted", "plain"]
