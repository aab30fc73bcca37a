"""metrics.json: definitions of metrics, as a list or under the key `metrics`.

    [{"name": "cpu", "aggregation": "avg", "retention_days": 30}, …]

Only `name` is required. Beside the fields of a definition, `bounds` may give [lowest, highest], either of them null.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fleetpulse.errors import MetricsFileError
from fleetpulse.ingest.metric_declarations import Definition, definition
from fleetpulse.model.metric import MetricDefinition


class _File(msgspec.Struct):
    metrics: list[Definition]


def read_metrics(path: Path) -> Sequence[MetricDefinition]:
    """The definitions of the file. Raises: MetricsFileError: says what is wrong and where."""
    try:
        said = msgspec.json.decode(path.read_bytes(), type=list[Definition] | _File)
        metrics = [definition(one) for one in (said.metrics if isinstance(said, _File) else said)]
    except FileNotFoundError as error:
        raise MetricsFileError(
            f'{path} does not exist. Write one ([{{"name": "cpu"}}]) or name another with --metrics.'
        ) from error
    except msgspec.MsgspecError as error:
        hint = '[{"name": "cpu", "aggregation": "avg", "retention_days": 30}, …]'
        raise MetricsFileError(f"{path}: {error}. Expected {hint}, see docs/reference/api.md.") from error
    except (OSError, ValueError) as error:
        raise MetricsFileError(f"{path}: {error}.") from error
    names = [metric.name for metric in metrics]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise MetricsFileError(f"{path}: defined twice: {', '.join(repeated)}.")
    return metrics
