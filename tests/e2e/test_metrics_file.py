"""metrics.json: what is taken, and what is refused with file and field."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from command import refusal
from conftest import Server
from fleetpulse.errors import MetricsFileError
from fleetpulse.ingest.metrics_file import read_metrics
from http_client import Client
from questions_server import API, METRICS


@pytest.mark.parametrize("wrap", [lambda metrics: metrics, lambda metrics: {"metrics": metrics}])
def test_a_metrics_file_is_taken_as_a_list_or_under_a_key(
    serve: Callable[..., Server], tmp_path: Path, wrap: Callable
) -> None:
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(wrap(METRICS)))
    client = Client(serve("--metrics", str(path)).port)
    definitions = {metric["name"]: metric for metric in client.ask("GET", f"{API}/metrics/definitions")[1]["metrics"]}
    assert set(definitions) == {"cpu", "memory", "boots", "upload_time"}
    assert (
        definitions["memory"]["aggregation"],
        definitions["memory"]["retention_days"],
        definitions["boots"]["bounds"],
    ) == ("max", 7, [0, None])
    client.close()


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        ('[{"name": "cpu", "aggregation": "median"}]', ["aggregation of cpu", "avg, sum"]),
        ('[{"name": "cpu", "retention_days": 0}]', ["retention_days of cpu", "1 to 36500"]),
        ('[{"name": "cpu", "retention_days": "30"}]', ["retention_days", "int"]),
        ('[{"name": "cpu", "retension_days": 30}]', ["retension_days"]),
        ('[{"name": "c p u"}]', ["c p u", "a letter or _"]),
        ('[{"name": "cpu"}, {"name": "cpu"}]', ["defined twice: cpu"]),
        ('[{"aggregation": "avg"}]', ["name"]),
        ("nonsense", ["malformed"]),
        ("", ["truncated"]),
        (None, ["does not exist", "--metrics"]),
    ],
)
def test_a_metrics_file_that_is_wrong_is_refused_with_file_and_field(
    tmp_path: Path, content: str | None, texts: list[str]
) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(MetricsFileError) as refusal:
        read_metrics(path)
    assert [text for text in [str(path), *texts] if text not in str(refusal.value)] == [], refusal.value


@pytest.mark.parametrize("content", ['[{"name": "cpu", "aggregation": "median"}]', None])
def test_a_metrics_file_that_is_wrong_ends_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "metrics.json"
    if content is not None:
        path.write_text(content)
    serve = ("serve", "--port", "0", "--data", str(tmp_path / "data"))
    assert str(path) in refusal(*serve, "--metrics", str(path))
