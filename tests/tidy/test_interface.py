"""The HTTP interface is described: every route in the reference, every operation in the OpenAPI document."""

import re
from pathlib import Path
from typing import Any

import pytest

from fleetpulse.api.app import describe_api

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = {"example", "examples"}
BINARY = {"application/vnd.apache.parquet", "application/x-tar"}
"""Of a binary file there is no example."""
PATHS = describe_api().document["paths"]
OPERATIONS = [
    pytest.param(operation, id=f"{method.upper()} {path}")
    for path, methods in PATHS.items()
    for method, operation in methods.items()
]


def test_every_route_stands_in_a_table_of_the_reference_and_no_other() -> None:
    page = (ROOT / "docs/reference/api.md").read_text()
    served = sorted((method.upper(), path) for path, methods in PATHS.items() for method in methods)
    assert sorted(re.findall(r"^\| `([A-Z]+) (/[^`]*)` \|", page, re.MULTILINE)) == served


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_has_a_summary_and_examples(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert [one["name"] for one in operation.get("parameters", []) if not one.get("description")] == []
    bodies = [operation.get("requestBody", {})]
    bodies += [answer for status, answer in operation["responses"].items() if status < "300"]
    media = {kind: content for body in bodies for kind, content in body.get("content", {}).items()}
    assert {kind for kind, content in media.items() if kind not in BINARY and not content.keys() & EXAMPLES} == set()
