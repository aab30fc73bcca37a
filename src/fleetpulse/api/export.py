"""Raw data as a file: CSV or Parquet, sent while it is made."""

from collections.abc import Sequence
from typing import Annotated

from litestar.params import QueryParameter

from fleetpulse.api.file_answer import FileAnswer
from fleetpulse.api.parameters import LabelPairs, TypesQuery, read_device_ids, read_include_deleted, read_labels
from fleetpulse.api.routes import Media, note_header, route
from fleetpulse.api.window_parameters import read_plain_window
from fleetpulse.pipeline.exports import ExportRequest, Exports
from fleetpulse.pipeline.metric_definitions import MetricDefinitions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.export import NAMES
from fleetpulse.query.export_formats import FORMATS, check_export
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.window import Window

_MEDIA = (
    Media(
        "text/csv",
        "UTF-8, one line a row",
        example="device_id,metric,sent_at,value\npress-07,cpu,2026-11-24T08:30:00Z,12.5\n",
    ),
    Media("application/vnd.apache.parquet", "a Parquet file"),
)
What = Annotated[str, QueryParameter(description="which rows", schema_extra={"enum": list(NAMES)})]
FileFormat = Annotated[
    str,
    QueryParameter(
        name="format",
        description="of the file; one Parquet file holds metrics of one kind",
        schema_extra={"enum": list(FORMATS)},
    ),
]


@route(
    "GET /api/v1/export",
    group="questions",
    operation="export",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(404, 422),
    media=_MEDIA,
    readers={
        "window": read_plain_window,
        "labels": read_labels,
        "device_ids": read_device_ids,
        "is_deleted_included": read_include_deleted,
    },
)
async def get_export(
    *,
    exports: Exports,
    metric_definitions: MetricDefinitions,
    registry: Registry,
    window: Window,
    labels: LabelPairs,
    device_ids: Sequence[str],
    is_deleted_included: bool,
    what: What = "samples",
    file_format: FileFormat = "csv",
    types: TypesQuery = None,
) -> FileAnswer:
    """Export raw samples, minutes of presence or reception gaps as a file.

    A file that cannot be finished ends with a broken connection; if a block is the cause, its last line names it.
    """
    check_export(what, file_format, has_types=types is not None)
    request = ExportRequest(
        what=what,
        file_format=file_format,
        window=window,
        labels=labels,
        device_ids=device_ids,
        is_deleted_included=is_deleted_included,
        metrics=metric_definitions.questions(",".join(types or ()), None) if what == "samples" else (),
    )
    file = await exports.file(request)
    notes = [*window.notes, *file.notes, *selection_notes(registry.seen_roster, labels)]
    headers = {"content-disposition": f'attachment; filename="{what}.{file_format}"', **note_header(notes)}
    return FileAnswer(file.body, media_type=file.media_type, headers=headers)
