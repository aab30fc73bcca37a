"""The repository's own promises."""

from dataclasses import fields
from pathlib import Path

from fleetpulse.api.app import HANDLERS
from fleetpulse.api.openapi import openapi_document
from fleetpulse.settings import Settings

ROOT = Path(__file__).parent.parent.parent


def test_every_setting_stands_in_the_reference_as_it_is() -> None:
    reference = (ROOT / "docs/reference/settings.md").read_text()
    for setting in fields(Settings):
        default = "(empty)" if setting.default == "" else setting.default
        assert f"| `{setting.name}` | `{default}` | {setting.metadata['text']} |" in reference


def test_every_route_is_described_and_no_other() -> None:
    served = {
        (path.replace(":str", ""), method.lower()) for handler in HANDLERS for path in handler.paths for method in handler.http_methods
    }
    described = {(path, method) for path, operations in openapi_document()["paths"].items() for method in operations}
    assert served == described
