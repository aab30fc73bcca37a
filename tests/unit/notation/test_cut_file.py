from fleetpulse.notation.cut_file import cut_text, read_cut


def test_the_end_of_a_file_that_was_cut_says_why_in_one_line() -> None:
    text = cut_text("block a.parquet is missing.\nRestore it.")
    assert text == b"\nEXPORT CUT: block a.parquet is missing. Restore it.\n"
    assert read_cut(b"device_id,minute\nd0,2026" + text) == "block a.parquet is missing. Restore it."


def test_another_end_says_nothing() -> None:
    assert read_cut(b"device_id,minute\nd0,2026") == ""
