"""metrics.json: definitions of metrics, as a list or under the key `metrics`.

    [{"name": "cpu", "aggregation": "avg", "retention_days": 30}, …]

Only `name` is required. `bounds` is [lowest, highest]; null in the place of either means that there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from fleetpulse.errors import MetricsFileError
from fleetpulse.ingest.file_bytes import read_whole
from fleetpulse.ingest.malformed import BOM, what_is_wrong
from fleetpulse.ingest.metric_declarations import Definition, declared_fields, definition
from fleetpulse.model.declaration_merge import Fields


class _File(msgspec.Struct):
    metrics: list[Definition]


@dataclass(frozen=True, slots=True)
class NamedMetric:
    """A metric that the file declares, and the fields that it names."""

    name: str
    named: Fields


def read_metrics(path: Path) -> Sequence[NamedMetric]:
    """The definitions in the file. Raises: MetricsFileError: says what is wrong and where."""
    text = b""
    try:
        text = read_whole(path).removeprefix(BOM)
        content = msgspec.json.decode(text, type=list[Definition] | _File)
        # Decoded again as it is, since a definition does not tell whether a field was named or has its default.
        written = msgspec.json.decode(text)
        metrics = [
            _named(body, entry)
            for body, entry in zip(
                content.metrics if isinstance(content, _File) else content,
                written["metrics"] if isinstance(written, dict) else written,
                strict=True,
            )
        ]
    except FileNotFoundError as error:
        raise MetricsFileError(
            f'{path} does not exist. Write it ([{{"name": "cpu"}}]), or name another file with --metrics.'
        ) from error
    except msgspec.MsgspecError as error:
        hint = '[{"name": "cpu", "aggregation": "avg", "retention_days": 30}, …]'
        raise MetricsFileError(
            f"{path}: {what_is_wrong(error, text)}. Expected {hint}, see docs/reference/api.md."
        ) from error
    except (OSError, ValueError) as error:
        raise MetricsFileError(f"{path}: {error}.") from error
    names = [metric.name for metric in metrics]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise MetricsFileError(
            f"{path}: these metrics are defined twice: {', '.join(repeated)}. Remove one definition of each."
        )
    return metrics


def _named(body: Definition, written: dict[str, Any]) -> NamedMetric:
    fields = declared_fields(definition(body))
    return NamedMetric(body.name, {name: fields[name] for name in written if name != "name"})
