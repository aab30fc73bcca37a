"""The command line: what is typed wrongly, which modules are loaded for it, and completion in a real shell."""

import functools
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from cyclopts import App

from command import COMMAND
from fleetpulse import __version__
from fleetpulse.cli.main import app, main
from fleetpulse.settings import entries

HEAVY = ("numpy", "pyarrow", "litestar", "uvicorn", "uvloop", "structlog", "httptools", "obstore")


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("line", "usage", "text"),
    [
        ("", "fleetpulse COMMAND", "fleetpulse: say which command"),
        ("devces", "fleetpulse COMMAND", "there is no command `devces` (did you mean devices?)"),
        ("devices", "fleetpulse devices COMMAND", "fleetpulse devices: say which command"),
        ("devices shw", "fleetpulse devices COMMAND", "there is no command `shw` (did you mean show?)"),
        ("devices show", "fleetpulse devices show [OPTIONS] DEVICE", "fleetpulse devices show: DEVICE is required"),
        ("devices show a b", "fleetpulse devices show [OPTIONS] DEVICE", "unrecognized arguments: b"),
        ("devices list --statsu up", "fleetpulse devices list [OPTIONS]", "--statsu (did you mean --status?)"),
        ("devices list --limit", "fleetpulse devices list [OPTIONS]", "--limit needs a value"),
        ("devices list --limit x", "fleetpulse devices list [OPTIONS]", '--limit: unable to convert "x" into int'),
        ("devices list --limit 5 --all", "fleetpulse devices list [OPTIONS]", "give only one of --limit, --all"),
        ("devices list --no-all", "fleetpulse devices list [OPTIONS]", "unrecognized arguments: --no-all"),
        ("uptime fleet --label site", "fleetpulse uptime fleet [OPTIONS]", "--label must be name:value"),
        ("export samples", "fleetpulse export samples --types NAME,… [OPTIONS]", "--types is required"),
        ("report uptime --sla 101", "fleetpulse report uptime [OPTIONS]", "at most 100, not `101`"),
        ("serve --prot 1", "fleetpulse serve [OPTIONS]", "unrecognized arguments: --prot (did you mean --port?)"),
    ],
)
def test_what_is_typed_wrongly_ends_in_status_2_with_the_usage_of_that_command(
    line: str, usage: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    first, second, third = printed.err.splitlines()
    assert first == f"Usage: {usage}"
    assert text in second
    assert third == f"For all commands and flags: {second.partition(':')[0]} --help"
    assert printed.out == ""


@pytest.mark.parametrize("note", ["-", "- see the log", "-1 degree"])
def test_a_value_may_begin_with_a_hyphen_if_it_cannot_be_a_flag(note: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "add", "x", "--note", note, "--url", "http://127.0.0.1:1"]) == 1
    assert "cannot be asked" in capsys.readouterr().err


def whole_flags(app: App = app, chain: tuple[str, ...] = ()) -> Iterator[tuple[list[str], str]]:
    """Every command with a flag of type int: the command with a value for each flag that it requires, and the flag."""
    for name in app:
        if not name.startswith("-"):
            yield from whole_flags(app[name], (*chain, name))
    if app.default_command and chain:
        arguments = app.assemble_argument_collection()
        required = [argument for argument in arguments if argument.required]
        values = [f"{argument.name}=x" if argument.index is None else "x" for argument in required]
        for argument in arguments:
            is_flag = argument.index is None and argument.name.startswith("-")
            if is_flag and int in (argument.hint, *get_args(argument.hint)):
                yield [*chain, *values], argument.name


@pytest.mark.parametrize(("text", "number"), [("5", 5), ("-5", -5), ("5.0", 5), ("1e3", 1_000)])
def test_a_whole_number_may_be_written_as_libraries_do(text: str, number: int) -> None:
    for command, flag in [(["metrics", "define", "x"], "--retention-days"), (["devices", "list"], "--limit")]:
        _, bound, _ = app.parse_args([*command, f"{flag}={text}"], print_error=False, exit_on_error=False)
        given = bound.kwargs.get("limit") or getattr(bound.kwargs.get("fields"), "retention_days", None)
        assert given == number


@pytest.mark.parametrize(
    ("command", "flag"), [pytest.param(*pair, id=f"{pair[0][:2]} {pair[1]}") for pair in whole_flags()]
)
@pytest.mark.parametrize("number", ["1.5", "0x2", "1e400", "nan", "1_000", "two", ""])
def test_a_whole_number_is_never_rounded_nor_guessed(
    command: list[str], flag: str, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, f"{flag}={number}"]) == 2
    assert f'{flag}: unable to convert "{number}" into int; give a whole number.\n' in capsys.readouterr().err


def test_flags_of_whole_numbers_are_found_by_their_type() -> None:
    flags = {flag for _, flag in whole_flags()}
    assert flags >= {"--limit", "--days", "--devices", "--bulk", "--seed", "--retention-days"}


@pytest.mark.parametrize(
    "line",
    ["devices list --lim 3 --stat up", "export samples --typ cpu --win=1h", "report uptime --form csv --win 2d --js"],
)
def test_a_flag_may_be_shortened_as_long_as_only_one_begins_so(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*line.split(), "--url", "http://127.0.0.1:1"]) == 1
    assert capsys.readouterr().err.startswith("fleetpulse: http://127.0.0.1:1 cannot be ")


def test_labels_of_every_device_change_only_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "relabel", "--set", "hall:7", "--uptime-window", "7d"]) == 1
    assert "no filter is given: say which devices, such as --label NAME:VALUE, or --all" in capsys.readouterr().err


@pytest.mark.parametrize("bound", ["inf", "-inf", "nan", "x"])
def test_a_bound_is_a_finite_number(bound: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics", "define", "cpu", f"--lowest={bound}", "--url", "http://127.0.0.1:1"]) == 1
    assert f"`{bound}` is not a number" in capsys.readouterr().err


def test_every_command_and_flag_that_was_ever_valid_still_is() -> None:
    lines = (Path(__file__).parents[2] / "fixtures/commands-0.1.txt").read_text().splitlines()
    for line in lines:
        words = line.split()
        chain = [word for word in words if word[0] not in "<-"]
        command = functools.reduce(App.__getitem__, chain, app)
        with app.app_stack(chain):
            arguments = command.assemble_argument_collection()
        missing = {word for word in words if word.startswith("-")} - {name for one in arguments for name in one.names}
        assert missing == set(), line
        assert len([one for one in arguments if one.index is not None]) == line.count("<"), line


def test_a_setting_that_cannot_be_ends_in_status_1_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "1", "--port", "99999", "--no-auto-define"]) == 1
    assert capsys.readouterr().err == "fleetpulse: flag: port must be 0 to 65535, not 99999\n"
    assert main(["serve", "--log-format", "xml"]) == 1
    assert "log_format must be one of auto, console, json, not xml" in capsys.readouterr().err


def test_help_of_serve_comes_in_the_groups_of_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    titles = ("Address and logs", "Data folder and blocks", "Heartbeat policy", "Bulk bodies", "Checkpoints")
    places = [text.index(f"─ {title} ─") for title in titles]
    assert places == sorted(places)
    assert "--kept-bytes-max" in text


def test_help_of_serve_breaks_no_flag_in_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    assert [entry.name for entry in entries() if f"--{entry.name.replace('_', '-')} " not in text] == []


def loaded(*arguments: str) -> set[str]:
    """The packages that a process of the command has loaded when it ends."""
    code = "import sys; from fleetpulse.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.partition(".")[0] for name in done.stderr.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "line",
    [
        "version",
        "devices list --url here",
        "uptime device x --url here",
        "metrics get x --types cpu --url here",
        "maintenance list --url here",
        "report uptime --url here",
        "export presence --url here",
    ],
)
def test_a_question_loads_neither_the_service_nor_what_draws_tables(line: str) -> None:
    assert loaded(*line.split()) & {*HEAVY, "rich", "docstring_parser"} == set()


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `fleetpulse completion bash` prints, as a file."""
    path = tmp_path_factory.mktemp("completion") / "fleetpulse.bash"
    command = [*COMMAND, "completion", "bash"]
    path.write_bytes(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    return path


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("dev", "devices"),
        ("devices tran", "transitions"),
        ("devices list --seen-", "--seen-before --seen-after"),
        ("report uptime --format ", "table csv json md"),
        ("serve --log-format j", "json"),
        ("serve --checkpoint-sil", "--checkpoint-silences"),
        ("completion z", "zsh"),
    ],
)
def test_bash_completes_what_was_begun(words: str, completed: str, script: Path) -> None:
    shell = """
        source "$1"; COMP_WORDS=(fleetpulse $2); [[ $2 == *" " ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE="fleetpulse $2"; COMP_POINT=${#COMP_LINE}
        how=$(complete -p fleetpulse); [[ $how =~ -F\\ ([^ ]+) ]]
        "${BASH_REMATCH[1]}" fleetpulse "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        echo "${COMPREPLY[*]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", shell, "bash", str(script), words], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == completed, done.stderr
