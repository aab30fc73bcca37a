"""The page of security names tests that there are, and leaves out no item of the two lists of OWASP."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs/reference/security.md").read_text()
ASVS = {
    1: [2, 10, 12, 3, 3],
    2: [3, 3, 5, 2],
    3: [1, 3, 5, 8, 8, 1, 5],
    4: [5, 5, 2, 4],
    5: [1, 6, 3, 3],
    6: [3, 12, 8, 6, 8, 4, 2, 4],
    7: [3, 4, 2, 5, 3, 2],
    8: [4, 4, 3, 2],
    9: [3, 4],
    10: [2, 3, 5, 16, 5, 2, 3],
    11: [4, 5, 5, 4, 2, 2, 2],
    12: [5, 2, 5],
    13: [4, 6, 4, 7],
    14: [2, 8, 3],
    15: [5, 5, 7, 4],
    16: [1, 5, 4, 3, 4],
    17: [2, 8, 2],
}
"""How many items each section of each chapter has in version 5.0.0."""


def items_of(cell: str) -> list[str]:
    """The items that the first cell of a row names, such as `1.2.6–1.2.8, 1.3.1`."""
    found = []
    for part in cell.split(", "):
        first, _, last = part.partition("–")
        section, _, number = first.rpartition(".")
        until = int((last or first).rpartition(".")[2])
        found += [f"{section}.{one}" for one in range(int(number), until + 1)]
    return found


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`((?:\w+/)+test_\w+\.py)(?:::(test_\w+))?`", PAGE)
    assert len(named) > 100
    wrong = [
        f"{path}::{name}"
        for path, name in named
        if not (TESTS / path).exists() or (name and f"def {name}(" not in (TESTS / path).read_text())
    ]
    assert wrong == []


def test_no_item_is_left_out_or_named_twice() -> None:
    assert re.findall(r"^\| (API\d+) ", PAGE, re.MULTILINE) == [f"API{number}" for number in range(1, 11)]
    named = [item for cell in re.findall(r"^\| (\d+\.\d[^|]*) \|", PAGE, re.MULTILINE) for item in items_of(cell)]
    there_are = [
        f"{chapter}.{section}.{item}"
        for chapter, sizes in ASVS.items()
        for section, size in enumerate(sizes, 1)
        for item in range(1, size + 1)
    ]
    assert len(there_are) == 345
    assert sorted(named) == sorted(there_are)
