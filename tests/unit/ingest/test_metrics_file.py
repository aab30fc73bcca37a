from pathlib import Path

import pytest

from fleetpulse.errors import MetricsFileError
from fleetpulse.ingest.metrics_file import read_metrics
from fleetpulse.model.metric import MetricDefinition


def read(folder: Path, text: str) -> list[MetricDefinition]:
    path = folder / "metrics.json"
    path.write_text(text)
    return list(read_metrics(path))


def test_a_list_or_an_object_of_metrics_is_read_and_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    cpu = MetricDefinition(name="cpu", unit="%", aggregation="max", lowest=0, highest=None)
    text = '[{"name": "cpu", "unit": "%", "aggregation": "max", "bounds": [0, null]}, {"name": "free"}]'
    assert read(tmp_path, text) == [cpu, MetricDefinition(name="free")]
    assert read(tmp_path, f'{{"metrics": {text}}}') == read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "Expected"),
        ("{}", "metrics.*Expected"),
        ('[{"unit": "%"}]', "name.*Expected"),
        ('[{"name": "cpu", "typo": 1}]', "typo"),
        ('[{"name": "cpu", "bounds": [1]}]', "bounds"),
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
