"""`fleetpulse`: finds the command and runs it.

Each command is a module beside this one, imported when it is the one that was typed: a question to a service need not
load the service. The command line stands on cyclopts: flags, help and completion are made of the functions' signatures
and docstrings, for 0.07 s of importing, which typer (0.05 s) does only for flags that are repeated in every function.
"""

import difflib
import sys
from collections.abc import Sequence
from typing import Any, Literal

from cyclopts import (
    App,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from fleetpulse import __version__
from fleetpulse.cli import terminal
from fleetpulse.errors import DatabaseBusy, OperatorError
from fleetpulse.memory_room import check_room, is_out_of_memory

SERVICE, QUESTIONS = Group("The service", sort_key=1), Group("Questions to a running service", sort_key=2)
COMMANDS = {
    "serve": "Run the service.",
    "simulate": "Simulate a fleet that reports to a server, and check the server's figures.",
    "generate": "Generate a data folder with history, to try fleetpulse on it and to measure it.",
    "verify": "Check that a data folder is complete and undamaged.",
    "restore": "Restore a backup into an empty data folder.",
    "move": "Move a service to other engines or to another place, or back.",
    "adopt": "Make a lost catalog anew from the blocks.",
    "status": "Show the fleet at a glance.",
    "watch": "Watch the fleet live: what changes, as it changes.",
    "devices": "List, show, declare, pause and relabel devices; import and export them.",
    "uptime": "Show uptime and availability over a window, of a device or of the fleet.",
    "metrics": "Define metrics, and show the values of devices and of the fleet.",
    "maintenance": "Declare when nothing is expected of devices, once or every week.",
    "alerts": "Show what is wrong, and declare of what people are told.",
    "users": "Let people sign in, and take that from them again.",
    "files": "Show what reading the declared files again would change.",
    "report": "Write service level reports: which uptime was reached, and whether it was promised.",
    "blocks": "List blocks that are set aside, and take them up again.",
    "clock": "Show the server's clock, and accept it as it is after it was wrong.",
    "keys": "Make, list and revoke keys: who may do what.",
    "enrolment": "Make and list enrolment keys, with which new devices get their own.",
    "badges": "Make, list and revoke badges that pages show without a key.",
    "audit": "Show and export the audit log: who did what, and who was refused.",
    "whoami": "Show who asks: the key, its role and its scope.",
    "backup": "Back up a running service into one file.",
    "export": "Write raw data to a file, as CSV or Parquet.",
}


def _shown_default(value: object) -> str | None:
    return None if value in (None, False, (), "") else str(value)


app = App(
    name="fleetpulse",
    help="Watch a fleet of edge devices: durable heartbeats in, exact uptime out.",
    version=__version__,
    help_format="plaintext",
    # A flag that is repeated counts as it was given last, so that a script can append to the flags of another.
    default_parameter=Parameter(negative=(), allow_repeating=True, show_default=_shown_default),
)
for _place, (_name, _text) in enumerate(COMMANDS.items()):
    _group = QUESTIONS if _place >= list(COMMANDS).index("status") else SERVICE
    app.command(f"fleetpulse.cli.{_name}:app", name=_name, help=_text, group=_group, sort_key=_place)


@app.command
def version() -> None:
    """Print the version."""
    print(__version__)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands and flags, for your shell to read.

    bash: source <(fleetpulse completion bash), in ~/.bashrc.
    zsh: fleetpulse completion zsh > FOLDER/_fleetpulse, where FOLDER is in $fpath.
    fish: fleetpulse completion fish > ~/.config/fish/completions/fleetpulse.fish.

    Args:
        shell: The shell that reads it.
    """
    print(app.generate_completion(shell=shell))


def main(arguments: list[str] | None = None) -> int:
    """Run a command; its exit status. What it cannot do ends in one line that says what to do, and exit status 1."""
    words = sys.argv[1:] if arguments is None else arguments
    try:
        terminal.prepare(needs_output=words[:1] != ["serve"])
        terminal.check_words(words)
        if words[:1] == ["serve"]:
            check_room()  # before the libraries are loaded, some of which end the process by themselves
        status = _run(_join_values(words))
        sys.stdout.flush()
    except (OperatorError, DatabaseBusy) as error:
        print(f"fleetpulse: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        terminal.leave_output()  # its reader has gone, as `| head` does
        return 141
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # the library of tables ends the process with 1
            return 141
        raise
    except OSError as error:
        if not terminal.is_output_broken(error):
            return _refuse_storage(error)
        terminal.leave_output()
        print(f"fleetpulse: standard output cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    except Exception as error:
        if is_out_of_memory(error):
            todo = "give it more (the machine, `ulimit -v`, MemoryMax, the container's limit), and start again"
            print(f"fleetpulse: the memory is used up: {todo}. Nothing that was acknowledged is lost.", file=sys.stderr)
            return 1
        # Most commands need no SQLite, and are not to load it.
        if "sqlite3" not in sys.modules or not isinstance(error, sys.modules["sqlite3"].Error):
            raise
        return _refuse_storage(error)
    return status


def _refuse_storage(error: Exception) -> int:
    """Say what the storage refused, and what to do. Returns: the exit status."""
    from fleetpulse.storage_causes import storage_text

    print(f"fleetpulse: {storage_text(error)}", file=sys.stderr)
    return 1


def _run(tokens: list[str]) -> int:
    try:
        command, bound, _ = _parse(tokens)
        if command == app.help_print and not {"--help", "-h"} & set(tokens):
            return _refuse(tokens, "say which command")
        return command(*bound.args, **bound.kwargs) or 0
    except CycloptsError as error:
        return _refuse(error.command_chain or (), _what_is_wrong(error))


def _parse(tokens: list[str]) -> tuple[Any, ...]:
    """What cyclopts makes of the tokens. A flag may be shortened, as long as only one begins so."""
    try:
        return app.parse_args(tokens, exit_on_error=False, print_error=False)
    except (UnknownOptionError, MissingArgumentError):
        in_full = _in_full(tokens)
        if in_full == tokens:
            raise
        return app.parse_args(in_full, exit_on_error=False, print_error=False)


def _in_full(tokens: list[str]) -> list[str]:
    """The tokens, with each flag in full of which only a beginning was typed."""
    _, apps, _ = app.parse_commands(tokens)
    known = [name for argument in apps[-1].assemble_argument_collection() for name in argument.names]
    words = []
    for word in tokens:
        typed, equals, value = word.partition("=")
        flags = [name for name in known if name.startswith(typed)] if typed.startswith("--") else []
        words.append(f"{flags[0]}{equals}{value}" if len(flags) == 1 else word)
    return words


def _join_values(tokens: Sequence[str]) -> list[str]:
    """A flag and its value as one token where the value would be taken for a flag: `--note "- see log"`, `-o -`."""
    joined: list[str] = []
    for word in tokens:
        is_value = word == "-" or (word.startswith("-") and " " in word)
        if is_value and joined and joined[-1].startswith("-") and joined[-1] != "--" and "=" not in joined[-1]:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _refuse(chain: Sequence[str], text: str) -> int:
    """Print the usage of the command that was typed, and what is wrong. Returns: the exit status."""
    from cyclopts.help import format_usage

    name = " ".join(["fleetpulse", *chain])
    with app.app_stack(list(chain)):
        usage = str(format_usage(app, chain)).strip()
    print(f"Usage: {usage}\n{name}: {text}.\nFor all commands and flags: {name} --help", file=sys.stderr)
    return 2


def _what_is_wrong(error: CycloptsError) -> str:
    match error:
        case UnknownOptionError():
            typed = error.token.keyword or error.token.value
            known = [name for argument in error.argument_collection for name in argument.names]
            return f"unrecognized arguments: {typed}{_suggestion(typed, known)}"
        case UnknownCommandError(unused_tokens=[typed, *_]):
            return f"there is no command `{typed}`{_suggestion(typed, [*(error.app or app)])}"
        case UnusedCliTokensError(unused_tokens=tokens):
            return f"unrecognized arguments: {' '.join(tokens or ())}"
        case MissingArgumentError(argument=argument, keyword=keyword) if argument:
            return f"{keyword} needs a value" if keyword else f"{argument.name} is required"
        case ValidationError(argument=argument):
            return f"{argument.name} {error.exception_message}" if argument else error.exception_message
        case _:
            return str(error).rstrip(".")


def _suggestion(typed: str, known: Sequence[Any]) -> str:
    close = difflib.get_close_matches(typed, known, 1)
    return f" (did you mean {close[0]}?)" if close else ""
