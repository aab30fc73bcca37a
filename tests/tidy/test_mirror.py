"""tests/unit mirrors the package: a module with behaviour has tests of its own."""

from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "src/fleetpulse"
UNIT = ROOT / "tests/unit"

ELSEWHERE = {
    "aggregate/sketch.py": "property/test_sketch.py",
    "aggregate/spans.py": "property/test_spans.py",
    "api/blocks.py": "e2e/test_blocks.py",
    "api/definitions.py": "e2e/test_declarations.py",
    "api/devices.py": "e2e/test_devices.py",
    "api/export.py": "e2e/test_questions.py",
    "api/health.py": "e2e/test_contract.py",
    "api/metrics.py": "e2e/test_questions.py",
    "api/reports.py": "property/test_two_paths.py",
    "api/server_clock.py": "e2e/test_clock.py",
    "api/uptime.py": "e2e/test_questions.py",
    "blocks/s3.py": "fault/test_s3.py",
    "catalog/device_rows.py": "contract/test_catalog.py",
    "catalog/sqlite.py": "contract/test_catalog.py",
    "cli/adopt.py": "fault/test_owner.py",
    "cli/blocks.py": "e2e/test_blocks.py",
    "cli/clock.py": "e2e/test_clock.py",
    "cli/device_changes.py": "e2e/test_commands.py",
    "cli/export.py": "e2e/test_commands.py",
    "cli/generate.py": "e2e/test_commands.py",
    "cli/metric_definitions.py": "e2e/test_commands.py",
    "cli/report_figures.py": "unit/cli/test_report.py",
    "cli/report_formats.py": "unit/cli/test_report.py",
    "cli/serve.py": "e2e/test_commands.py",
    "cli/setting_flags.py": "unit/test_settings.py",
    "cli/simulate.py": "e2e/test_simulate.py",
    "cli/verify.py": "e2e/test_verify.py",
    "pipeline/clock_acceptance.py": "e2e/test_clock.py",
    "running.py": "fault/test_crash.py",
    "pipeline/merges.py": "property/test_declared_files.py",
}
"""Where a module is tested that has no page in tests/unit, since it shows what it does only with the rest."""

DECLARATIONS = {
    "blocks/compaction/work_input.py", "blocks/pacing.py", "catalog/catalog.py",
    "catalog/sqlite_records.py",
    "ingest/bodies.py", "ingest/clock_declarations.py", "journal/journal.py", "limits.py",
    "live/frozen.py", "model/declared.py", "model/reception_gaps.py", "model/samples.py", "model/status.py",
    "model/units.py", "model/uptime.py", "pipeline/service.py", "query/answer_fields.py", "query/answers.py",
    "query/declaration_answers.py", "query/limits.py",
    "telemetry/counters.py",
}  # fmt: skip
"""Names, types and constants, or a protocol: nothing that a test could run."""


def modules() -> set[str]:
    return {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if not path.name.startswith("__")}


def mirror_of(module: str) -> Path:
    path = UNIT / module
    return path.with_name(f"test_{path.name}")


def test_every_module_with_behaviour_has_tests_that_bear_its_name() -> None:
    untested = {module for module in modules() if not mirror_of(module).exists()}
    assert untested == set(ELSEWHERE) | DECLARATIONS
    assert {page for page in ELSEWHERE.values() if not (ROOT / "tests" / page).exists()} == set()


def test_every_page_of_unit_tests_bears_the_name_of_a_module() -> None:
    assert set(UNIT.rglob("test_*.py")) <= {mirror_of(module) for module in modules()}
