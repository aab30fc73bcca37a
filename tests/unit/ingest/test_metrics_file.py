from pathlib import Path

import pytest

from fleetpulse.errors import MetricsFileError
from fleetpulse.ingest.metrics_file import NamedMetric, read_metrics


def read(folder: Path, text: str) -> list[NamedMetric]:
    path = folder / "metrics.json"
    path.write_text(text)
    return list(read_metrics(path))


def test_a_list_or_an_object_of_metrics_is_read_with_the_fields_that_it_names(tmp_path: Path) -> None:
    text = '[{"name": "cpu", "unit": "%", "aggregation": "max", "bounds": [0, null]}, {"name": "free"}]'
    named = {"unit": "%", "aggregation": "max", "bounds": [0, None]}
    assert read(tmp_path, text) == [NamedMetric("cpu", named), NamedMetric("free", {})]
    assert read(tmp_path, f'{{"metrics": {text}}}') == read(tmp_path, text)
    assert read(tmp_path, f"\ufeff{text}") == read(tmp_path, text)


def test_days_may_be_written_as_libraries_write_numbers(tmp_path: Path) -> None:
    (cpu,) = read(tmp_path, '[{"name": "cpu", "retention_days": 1e2, "raw_days": 5.0}]')
    assert cpu.named == {"retention_days": 100, "raw_days": 5}
    assert {type(value) for value in cpu.named.values()} == {int}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "Expected"),
        ("{}", "metrics.*Expected"),
        ('[{"unit": "%"}]', "name.*Expected"),
        ('[{"name": "cpu", "typo": 1}]', "typo"),
        ('[{"name": "cpu", "bounds": [1]}]', "bounds"),
        (f'[{{"name": "cpu", "bounds": [0, 1{"0" * 400}]}}]', "bounds: highest of cpu must be a finite number"),
        ('[{"name": "cpu", "bounds": [0, 1e400]}]', "bounds"),
        ('[{"name": "cpu", "bounds": [NaN, 1]}]', "`bounds` is NaN"),
        ('[{"name": "\\ud800"}]', "half of a surrogate pair"),
        ('[{"name": "cpu", "kind": "integer", "bounds": [0.5, 1]}]', "bounds: lowest of cpu must be a whole number"),
        ('[{"name": "cpu", "retention_days": 5.5}]', "retention_days of cpu must be a whole number of days, not 5.5"),
        (f'[{{"name": "cpu", "retention_days": 1{"0" * 4_000}}}]', "retention_days of cpu must be 1 to 36500"),
        (f'[{{"name": "cpu", "raw_days": 1{"0" * 6_000}}}]', "raw_days"),
        ('[{"name": "1"}]', "name `1` must be a letter"),
        ('[{"name": "cpu", "bounds": [5, 1]}]', "is above its highest"),
        ('[{"name": "cpu"}, {"name": "free"}, {"name": "cpu"}]', "defined twice: cpu. Remove"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(MetricsFileError, match=rf"metrics\.json: .*{error}"):
        read(tmp_path, text)


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(MetricsFileError, match=r"none\.json does not exist\. Write it .* with --metrics"):
        read_metrics(tmp_path / "none.json")
