"""Every example of a command, in its help and on the pages about commands, is one that can be run."""

import shlex

import pytest
from cyclopts import App

from conftest import ROOT
from fleetpulse.cli.main import COMMANDS, app

CLIENTS = list(COMMANDS)[list(COMMANDS).index("status") :]


def _parsed(arguments: list[str]) -> object:
    """The function that a command line runs."""
    return app.parse_args(arguments, exit_on_error=False, print_error=False)[0]


def _actions(command: App, before: str = "") -> dict[str, App]:
    """Its actions by the words that follow `fleetpulse`; a command without actions is one itself."""
    words = f"{before}{command.name[0]}"
    found: dict[str, App] = {}
    for name in command:
        if not name.startswith("-"):
            found |= _actions(command[name], f"{words} ")
    return found or {words: command}


@pytest.mark.usefixtures("without_pydantic")
@pytest.mark.parametrize("command", CLIENTS)
def test_every_action_has_an_example_that_can_be_run_and_stands_in_the_reference(command: str) -> None:
    reference = (ROOT / "docs/reference/commands.md").read_text()
    actions = _actions(app[command])
    assert actions
    for name, action in actions.items():
        assert f"`fleetpulse {name}`" in reference
        title, *examples = (action.help_epilogue or "").splitlines()
        assert title == "Example:"
        for example in examples:
            program, *arguments = shlex.split(example)
            assert program == "fleetpulse"
            assert _parsed(arguments) is action.default_command


@pytest.mark.usefixtures("without_pydantic")
@pytest.mark.parametrize("page", ["howto/report.md", "reference/commands.md"])
def test_the_commands_of_a_page_can_be_run(page: str) -> None:
    lines = [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("fleetpulse ")]
    for line in lines:
        assert _parsed(shlex.split(line)[1:]) != app.help_print
