"""metrics.json: definitions of metrics, as a list or under the key `metrics`.

    [{"name": "cpu", "aggregation": "avg", "retention_days": 30}, …]

Only `name` is required. `bounds` is [lowest, highest]; null in the place of either means that there is none.
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
    """The definitions in the file. Raises: MetricsFileError: says what is wrong and where."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=list[Definition] | _File)
        metrics = [definition(written) for written in (content.metrics if isinstance(content, _File) else content)]
    except FileNotFoundError as error:
        raise MetricsFileError(
            f'{path} does not exist. Write it ([{{"name": "cpu"}}]), or name another file with --metrics.'
        ) from error
    except msgspec.MsgspecError as error:
        hint = '[{"name": "cpu", "aggregation": "avg", "retention_days": 30}, …]'
        raise MetricsFileError(f"{path}: {error}. Expected {hint}, see docs/reference/api.md.") from error
    except (OSError, ValueError) as error:
        raise MetricsFileError(f"{path}: {error}.") from error
    names = [metric.name for metric in metrics]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise MetricsFileError(
            f"{path}: these metrics are defined twice: {', '.join(repeated)}. Remove one definition of each."
        )
    return metrics
