"""README and docs are true: every block of shell and Python runs, page by page, against the real command."""

import re
from pathlib import Path

import pytest

from documentation import ROOT, RUN, PageError, Reader, read_blocks

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"])
RUNNING = [page for page in PAGES if re.search(f"^```({'|'.join(RUN)})$", page.read_text(), re.MULTILINE)]


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    with Reader(tmp_path / "fleetpulse") as reader:
        reader.read(read_blocks(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_is_run_compared_or_marked_with_a_reason(page: Path) -> None:
    read_blocks(page)


@pytest.mark.parametrize(
    "text",
    [
        "```sh\necho 1\n```\n```output\n2\n```\n",
        '```sh\necho \'{"a": 1, "b": 2}\'\n```\n```json output\n{"a": 1}\n```\n',
        "```sh\nfalse\ntrue\n```\n",
        "<!-- fails -->\n```sh\ntrue\n```\n",
        "<!-- not run: -->\n```sh\ntrue\n```\n",
        "```console\n$ true\n```\n",
        "```output\n1\n```\n",
        "<!-- keep running -->\n```sh\nfleetpulse serve --no-such-flag\n```\n",
        "```python\nassert False\n```\n",
    ],
)
def test_a_page_that_is_wrong_is_found_out(text: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(PageError), Reader(tmp_path / "fleetpulse") as reader:
        reader.read(read_blocks(page))


def test_variables_stay_and_what_varies_is_left_open(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```sh\nNAME=pump\n```\n"
        "<!-- fails -->\n```sh\nfalse\ntrue\n```\n"
        '```sh\necho "$NAME  at  $(date)"\necho one\necho two\n```\n```output\npump at …\n…\ntwo\n```\n'
        '```sh\necho \'{"a": 1, "b": [2, 3]}\'\n```\n```json output\n{"b": [2, "…"], "…": "…"}\n```\n'
    )
    with Reader(tmp_path / "fleetpulse") as reader:
        reader.read(read_blocks(page))
