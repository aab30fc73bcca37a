"""Which devices Prometheus may scrape, for its HTTP service discovery."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Response

from fleetpulse.api.long_body import Rendering
from fleetpulse.api.parameters import query_parameter, read_labels
from fleetpulse.api.routes import Media, note_header, route
from fleetpulse.clock import Clock
from fleetpulse.pipeline.questions import Questions
from fleetpulse.pipeline.registry import Registry
from fleetpulse.query.fleet import Labels
from fleetpulse.query.notes import selection_notes
from fleetpulse.query.scrape_targets import scrape_targets
from fleetpulse.telemetry_settings import TelemetrySettings

_TARGETS = Media(
    "application/json",
    "a list of targets as Prometheus reads it",
    kind="array",
    example='[{"targets": ["10.0.0.7:9100"], "labels": {"__meta_fleetpulse_device_id": "press-07"}}]',
)


def read_address(
    address: Annotated[
        str,
        query_parameter(
            "name of the label that holds a device's host:port; devices without it are left out; empty: the id is told",
            max_length=64,
            examples=["address"],
        ),
    ] = "",
) -> str:
    """The name of the label with addresses; "" for none."""
    return address


@route(
    "GET /api/v1/sd",
    group="questions",
    operation="listTargets",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    media=(_TARGETS,),
    readers={"labels": read_labels, "address_label": read_address},
)
async def get_targets(
    *,
    questions: Questions,
    registry: Registry,
    clock: Clock,
    rendering: Rendering,
    telemetry_settings: TelemetrySettings,
    labels: Labels,
    address_label: str,
) -> Response[bytes]:
    """List devices as targets for the HTTP service discovery of Prometheus.

    Each has its id as `__meta_fleetpulse_device_id` and each of its labels as `__meta_fleetpulse_label_NAME`.
    """
    question = partial(
        scrape_targets, labels=labels, address_label=address_label, targets_max=telemetry_settings.sd_targets_max
    )
    found = await questions.devices(question, start_ns=clock.now_ns())
    headers = {"content-type": "application/json", **note_header(selection_notes(registry.seen_roster, labels))}
    return await rendering.whole(await rendering.run(msgspec.json.encode, found), headers=headers)
