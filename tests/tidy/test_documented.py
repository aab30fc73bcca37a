"""The repository's own promises."""

import re
from pathlib import Path

import pytest

from fleetpulse import errors
from fleetpulse.api.app import ROUTES, describe_api
from fleetpulse.api.docs_page import docs_page
from fleetpulse.ingest.connections import Phase
from reference_pages import access_page, commands_page, metrics_page, settings_page

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_the_page_of_settings_is_what_the_settings_are() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == settings_page(), "write it with `make reference`"


def test_the_page_of_access_is_what_the_routes_declare() -> None:
    assert (ROOT / "docs/reference/access.md").read_text() == access_page(), "write it with `make reference`"


def test_the_page_of_metrics_is_what_is_declared() -> None:
    assert (ROOT / "docs/reference/metrics.md").read_text() == metrics_page(), "write it with `make reference`"


def test_every_route_is_described_and_no_other() -> None:
    served = {(route.path.replace(":str", ""), route.method.lower()) for route in ROUTES}
    described = {
        (path, method) for path, operations in describe_api().document["paths"].items() for method in operations
    }
    assert served == described


def test_the_docs_page_shows_every_operation_with_its_parameters_and_every_shape() -> None:
    document = describe_api().document
    page = docs_page(document)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            section = page.partition(f"<section id='{operation['operationId']}'>")[2].partition("</section>")[0]
            assert f"{method.upper()} {path}" in section
            assert [
                one["name"] for one in operation.get("parameters", []) if f"<code>{one['name']}</code>" not in section
            ] == []
    names = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(set(names)) == len(names)
    links = set(re.findall(r"href='#([^']*)'", page))
    assert {link for link in links if f"id='{link}'" not in page} == set()
    assert {name for name in document["components"]["schemas"] if f"id='{name}'" not in page} == set()


def test_the_page_of_commands_has_every_command_and_flag_as_it_is() -> None:
    page = (ROOT / "docs/reference/commands.md").read_text()
    assert page == commands_page(page), "write it with `make reference`"


def test_every_status_and_every_reason_of_a_refusal_stands_in_the_reference() -> None:
    reference = (ROOT / "docs/reference/errors.md").read_text()
    statuses = {
        str(kind.status) for kind in vars(errors).values() if isinstance(kind, type) and hasattr(kind, "status")
    }
    assert {status for status in statuses if f"| {status} |" not in reference} == set()
    reasons = {
        reason for source in SOURCES for reason in re.findall(r'reason(?:: str)? ?= ?"([a-z_]+)"', source.read_text())
    }
    reasons |= {f"{phase.name.lower()}_timeout" for phase in Phase if phase is not Phase.ANSWER}
    assert len(reasons) > 15
    assert {reason for reason in reasons if f"`{reason}`" not in reference} == set()


@pytest.mark.parametrize(
    "page",
    sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/README.md"]),
    ids=lambda p: p.name,
)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text()):
        assert (page.parent / link).exists(), link
