"""Settings as flags of a command."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Group, Parameter, Token

from fleetpulse.settings import GROUPS, Entry, entries, group_title

_Function = TypeVar("_Function", bound=Callable[..., Any])


def takes_settings(names: Iterable[str] | None = None) -> Callable[[_Function], _Function]:
    """Let a function that takes `**flags` declare settings as its flags: all of them, or those of `names`.

    A flag that is not given is None. Values are passed on as texts, and `load_settings` checks them: an error reads the
    same for a flag as for the environment and the file.
    """
    chosen_names = None if names is None else set(names)

    def declare(function: _Function) -> _Function:
        signature = inspect.signature(function)
        own = [flag for flag in signature.parameters.values() if flag.kind is not inspect.Parameter.VAR_KEYWORD]
        flags = [
            _flag(entry, title)
            for title, group in (
                (Group(group_title(group), sort_key=place), group) for place, group in enumerate(GROUPS)
            )
            for entry in entries(group)
            if chosen_names is None or entry.name in chosen_names
        ]
        function.__signature__ = signature.replace(parameters=[*own, *flags])  # type: ignore[attr-defined]  # a function
        function.__annotations__ = {flag.name: flag.annotation for flag in (*own, *flags)}
        return function

    return declare


def given(flags: dict[str, str | bool | None]) -> dict[str, str | bool]:
    """The flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


def _as_given(_: object, tokens: Sequence[Token]) -> str:
    return tokens[0].value


def _flag(entry: Entry, group: Group) -> inspect.Parameter:
    names = ["--" + name.replace("_", "-") for name in (entry.name, entry.about.former_name) if name]
    facts = (entry.about.unit, entry.range_text, "" if entry.kind is bool else f"default {entry.default or 'empty'}")
    help_text = f"{entry.about.text} [{', '.join(fact for fact in facts if fact)}]".removesuffix(" []")
    about = Parameter(
        name=names,
        negative=names[0].replace("--", "--no-", 1) if entry.kind is bool else (),
        metavar=entry.kind.__name__.upper(),
        converter=_as_given if entry.choices else None,
        show_choices=False,
        group=group,
        help=help_text,
    )
    # The shell completes a Literal.
    kind: Any = Literal[entry.choices] if entry.choices else bool if entry.kind is bool else str
    annotation = Annotated[kind | None, about]
    return inspect.Parameter(entry.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
