"""Tables, facts and small graphs as they are printed."""

from msgspec import UNSET

from cli_text import printed
from fleetpulse.cli.tables import (
    csv_of,
    facts_of,
    known,
    left,
    percent_cell,
    prose,
    right,
    seconds_cell,
    sparkline,
    status_cell,
    step_values,
    table_of,
    time_cell,
    value_cell,
)
from fleetpulse.notation.duration import length_text


def test_figures_stand_right_and_an_id_is_never_broken() -> None:
    name = "x" * 300
    lines = printed(table_of([left("device"), right("slots")], [[name, "7"], ["a", "1440"]])).splitlines()
    (first, second) = (line for line in lines if "7" in line or "1440" in line)
    assert first.split() == [name, "7"]
    assert len(second.rstrip()) == len(first.rstrip())


def test_prose_is_broken_into_lines_and_an_empty_cell_is_empty() -> None:
    text = printed(table_of([prose("note"), left("id")], [["word " * 30, None]]))
    assert "None" not in text
    assert max(text.splitlines(), key=len).count("word") < 15


def test_facts_leave_out_what_is_empty() -> None:
    assert printed(facts_of([("note", ""), ("status", status_cell("up")), ("seen", None)])) == "status  up\n"


def test_a_text_cannot_steer_the_terminal_or_write_markup() -> None:
    assert printed("[bold]a\x1b[31m\nb") == "[bold]a·[31m\nb\n"


def test_a_sparkline_goes_from_lowest_to_highest_and_leaves_gaps() -> None:
    assert sparkline([0, 7, None, 3.5]) == "▁█ ▅"
    assert sparkline([5, 5]) == "▅▅"
    assert sparkline([]) == sparkline([None])[1:] == ""
    assert len(sparkline([float(value) for value in range(1000)])) == 48


def test_a_series_has_a_place_for_every_step_of_its_window() -> None:
    points = [("2026-01-01T00:10:00Z", 1.0), ("2026-01-01T00:30:00Z", 3.0)]
    values = step_values(points, start="2026-01-01T00:10:00Z", end="2026-01-01T00:45:00Z", step_s=600)
    assert values == [1.0, None, 3.0, None]


def test_cells_tell_what_is_not_known_from_nought() -> None:
    assert [percent_cell(None), percent_cell(0), seconds_cell(None), seconds_cell(0)] == ["–", "0.00000", "–", "0s"]
    assert [value_cell(None, "%"), value_cell(1.5e9, "ns"), value_cell(3, "%"), value_cell(2 / 3, "%")] == [
        "–",
        "1.5s",
        "3",
        "0.666667",
    ]
    assert [time_cell(None), time_cell("2026-01-01T00:10:00.123456789Z")] == ["", "2026-01-01T00:10:00Z"]
    assert [known(UNSET), known(0)] == [None, 0]


def test_a_table_becomes_csv_with_names_without_blanks_and_cells_that_no_spreadsheet_runs() -> None:
    table = table_of([left("device"), left("last seen")], [["=a", 'x "y", z'], ["b", None]])
    assert csv_of(table).splitlines() == ["device,last_seen", '\'=a,"x ""y"", z"', "b,"]
    assert csv_of(facts_of([("note", "n"), ("status", status_cell("up"))])).splitlines() == [
        "name,value",
        "note,n",
        "status,up",
    ]


def test_a_status_says_for_how_long_in_two_units() -> None:
    since = "2026-01-01T00:00:00Z"
    now_s = 1_767_225_600 + 4 * 3_600 + 10 * 60 + 59
    assert str(status_cell("down", since=since, now_s=now_s)) == "down for 4 h 10 m"
    assert str(status_cell("new", since=since, now_s=now_s)) == "new"
    texts = [length_text(seconds) for seconds in (-3, 0, 59, 60, 3_600, 90_000, 86_400 * 400)]
    assert texts == ["0 s", "0 s", "59 s", "1 m", "1 h", "1 d 1 h", "400 d"]
