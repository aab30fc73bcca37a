"""alerts.toml: what it declares, and what is said of one that cannot be used."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import ROOT
from fleetpulse.errors import AlertsFileError
from fleetpulse.ingest.alerts_file import Entry, read_alerts, read_rule

SECTIONS = {"rule": read_rule}
RULE = '[[rule]]\nname = "cpu-high"\nkind = "metric"\ncondition = "cpu avg over 600s > 90"\n'


def read(folder: Path, text: str | bytes) -> dict[str, list[Entry]]:
    path = folder / "alerts.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_alerts(path, SECTIONS)


def test_what_an_entry_names_is_in_canonical_form_and_nothing_else_is_named(tmp_path: Path) -> None:
    text = f'{RULE}for = "90s"\nlabels = {{ site = "paris" }}\n[rule.annotations]\nsummary = "{{device}}: hot"\n'
    ((name, named, _),) = read(tmp_path, f"\ufeff# rules\n{text}")["rule"]
    assert name == "cpu-high"
    assert named == {
        "kind": "metric",
        "condition": "cpu avg over 10m > 90",
        "for": "1m30s",
        "labels": ["site:paris"],
        "annotations": ["summary:{device}: hot"],
    }
    assert read(tmp_path, "") == {}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[[rule]", r"line 1.*Expected TOML in UTF-8"),
        (b"\xff", "Expected TOML"),
        ("a = " + "[" * 10_000, "Expected TOML"),
        ("[[rules]]\nname = 'a'", r"it has `rules`, which is unknown. Expected are \[\[rule\]\]"),
        ("[rule]\nname = 'a'", r"`rule` is a list of tables. Begin each with \[\[rule\]\]"),
        ("rule = 5", "`rule` is a list of tables"),
        ("[[rule]]\nname = 'a'", r"\[\[rule\]\] 1 \(a\): .*kind"),
        ("[[rule]]\nkind = 'device_down'", r"\[\[rule\]\] 1: .*name"),
        (RULE + "fors = '5m'", r"\[\[rule\]\] 1 \(cpu-high\): .*unknown field `fors`"),
        (RULE + "for = true", r"\(cpu-high\): Expected .*, got `bool` - at `\$.for`"),
        (RULE + "for = 1979-05-27", r"\(cpu-high\): Expected .* - at `\$.for`"),
        (RULE + "for = '5'", r"\(cpu-high\): for: `5` needs a unit"),
        (RULE + "[[rule]]\nname = 'b'\nkind = 'drift'", r"\[\[rule\]\] 2 \(b\): condition: expected `drift`"),
        (RULE + "annotations = { a = '{x}' }", r"annotation a: `\{x\}` is unknown; known are"),
        (RULE + RULE, r"\[\[rule\]\] 2 \(cpu-high\): this rule is declared twice"),
        (RULE + f"for = {'9' * 5_000}", "Expected TOML|whole number of seconds"),
        ("#" * 4_000_001, "is larger than"),
    ],
)
def test_a_wrong_file_is_named_with_the_place_and_what_is_wrong(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(AlertsFileError, match=rf"(?s)alerts\.toml.*({error})"):
        read(tmp_path, text)


def test_a_missing_file_says_which_flag_names_it(tmp_path: Path) -> None:
    with pytest.raises(
        AlertsFileError, match=r"none\.toml does not exist\. Write it, or name another file with --alerts"
    ):
        read_alerts(tmp_path / "none.toml", SECTIONS)


def test_the_example_that_comes_with_the_service_can_be_read() -> None:
    entries = read_alerts(ROOT / "deploy/alerts.toml", SECTIONS)
    assert {named["kind"] for _, named, _ in entries["rule"]} >= {"device_down", "metric", "fleet", "absent"}


WORDS = st.sampled_from([*"[]=\"'{}\n#,.", "rule", "name", "kind", "metric", "condition", "for", "1", "\n[[rule]]\n"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORDS, max_size=25).map("".join) | st.text(max_size=30) | st.binary(max_size=30))
def test_any_file_is_read_or_refused_by_name(tmp_path: Path, text: str | bytes) -> None:
    try:
        read(tmp_path, text if isinstance(text, bytes) else text.encode(errors="replace"))
    except AlertsFileError as error:
        assert "alerts.toml" in str(error)  # noqa: PT017  # either outcome is right; only a crash is not
