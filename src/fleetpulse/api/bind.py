"""A handler as the framework calls it: with the parts of the service bound, and its readers called.

The framework could provide parts and readers with each request, but it then runs a task for each of them, which takes
longer than a small question itself.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from litestar import Request
from msgspec import Struct

AnyRequest = Request[Any, Any, Any]
Handler = Callable[..., Any]
Reader = Callable[..., Any]
Render = Callable[[list[Any]], Awaitable[Any]]


def bind(
    function: Handler,
    *,
    parts: Mapping[str, Any],
    readers: Mapping[str, Reader],
    read_payload: Callable[[AnyRequest], Awaitable[Any]] | None = None,
    render: Render | None = None,
    in_time: Callable[[Coroutine[Any, Any, Any]], Awaitable[Any]] | None = None,
) -> Callable[..., Awaitable[Any]]:
    """`function` with a signature that has only what stands for a value of the request.

    Args:
        parts: bound to the parameters that have their names.
        readers: replace the parameters of their names by their own ones, of which some may be parts, or have readers.
        read_payload: reads the parameter `payload` from the request.
        in_time: awaits what the handler does, but not longer than a client should wait.
        render: makes a response of an answer, of a long one off the event loop. It is given a list with the answer, and
            takes it out.
    """
    inputs: dict[str, inspect.Parameter] = {}
    steps: dict[str, tuple[Reader, list[str]]] = {}

    def prepare(called: Callable[..., Any]) -> tuple[Callable[..., Any], list[str]]:
        """`called` with its parts bound, and the names of its other parameters, which inputs or steps provide."""
        parameters = inspect.signature(called).parameters
        names = [name for name in parameters if name not in parts]
        for name in names:
            if name in readers:
                if name not in steps:
                    steps[name] = prepare(readers[name])
            elif name != "payload":
                inputs[name] = parameters[name].replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return partial(called, **{name: parts[name] for name in parameters if name in parts}), names

    handler, names = prepare(function)
    if read_payload is not None:
        inputs["request"] = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY, annotation=AnyRequest)

    async def call(**values: Any) -> Any:
        for name, (read, takes) in steps.items():
            values[name] = read(**{taken: values[taken] for taken in takes})
        if read_payload is not None:
            values["payload"] = await read_payload(values["request"])
        work = handler(**{name: values[name] for name in names})
        box = [await (work if in_time is None else in_time(work))]
        if render is not None and isinstance(box[0], Struct):
            return await render(box)
        return box[0]

    answer = function.__annotations__["return"]
    call.__annotations__ = {name: one.annotation for name, one in inputs.items()} | {"return": answer}
    signature = inspect.Signature(list(inputs.values()), return_annotation=answer)
    call.__signature__ = signature  # type: ignore[attr-defined]  # functions may have one
    call.__name__, call.__qualname__, call.__module__ = function.__name__, function.__qualname__, function.__module__
    return call
