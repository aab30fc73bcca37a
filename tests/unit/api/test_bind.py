"""Handlers as the framework calls them."""

import asyncio
import inspect
from typing import Any

from fleetpulse.api.bind import bind


def read_pair(scale: int, first: int, second: int = 2) -> int:
    return scale * (first + second)


def read_label(label: str = "none") -> str:
    return label


def read_both(pair: int, title: str) -> str:
    return f"{title}: {pair}"


async def handle(scale: int, both: str, pair: int, device_id: str, payload: str | None = None) -> str:
    return f"{device_id} {both} {pair} of {scale} {payload}"


READERS = {"both": read_both, "pair": read_pair, "title": read_label}


def test_what_is_left_of_a_signature_stands_for_values_of_the_request() -> None:
    bound = bind(handle, parts={"scale": 10}, readers=READERS)
    signature = inspect.signature(bound)
    assert {name: one.default for name, one in signature.parameters.items()} == {
        "first": inspect.Parameter.empty,
        "second": 2,
        "label": "none",
        "device_id": inspect.Parameter.empty,
    }
    assert signature.return_annotation is str
    assert bound.__annotations__ == {"first": int, "second": int, "label": str, "device_id": str, "return": str}


def test_readers_are_called_once_each_in_the_order_of_what_they_need_and_the_payload_last() -> None:
    calls: list[str] = []

    def counted(name: str) -> Any:
        def read(**values: Any) -> Any:
            calls.append(name)
            return READERS[name](**values)

        read.__signature__ = inspect.signature(READERS[name])  # type: ignore[attr-defined]  # functions may have one
        return read

    async def payload(request: str) -> str:
        calls.append("payload")
        return request.upper()

    bound: Any = bind(
        handle, parts={"scale": 10}, readers={name: counted(name) for name in READERS}, read_payload=payload
    )
    answer = asyncio.run(bound(first=1, second=2, label="sum", device_id="a", request="body"))
    assert answer == "a sum: 30 30 of 10 BODY"
    assert calls == ["pair", "title", "both", "payload"]
