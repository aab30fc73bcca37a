"""Devices as people manage them: one by one, by filter, as CSV."""

from dataclasses import replace
from http import HTTPStatus

from litestar import Response

from fleetpulse.api.bind import AnyRequest, Reader
from fleetpulse.api.long_body import Rendering
from fleetpulse.api.parameters import (
    DeviceIdPath,
    Paging,
    read_all,
    read_dry_run,
    read_filter,
    read_include_deleted,
    read_labels,
    read_paging,
)
from fleetpulse.api.request_body import whole_body
from fleetpulse.api.routes import Media, check_media, note_header, route
from fleetpulse.ingest.device_declarations import DeviceChange, ForgetBody, LabelChange, NewDevice, PauseBody
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.forgetting import Forgetting
from fleetpulse.pipeline.inventory import Inventory
from fleetpulse.query.declaration_answers import Device, DeviceList, Imported, Message, Relabelled
from fleetpulse.query.declaration_answers import Forgetting as Forgotten
from fleetpulse.query.devices import Filter

_CSV = Media(
    "text/csv",
    "UTF-8: device_id, perhaps interval, grace and note; every other column is a label",
    example="device_id,interval,grace,note,site\r\npress-07,5m,20m,hall 2,paris\r\n",
)
_FILTER: dict[str, Reader] = {"labels": read_labels, "chosen": read_filter}


@route(
    "GET /api/v1/devices",
    group="devices",
    operation="listDevices",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={**_FILTER, "paging": read_paging, "is_deleted_included": read_include_deleted},
)
async def get_devices(inventory: Inventory, chosen: Filter, paging: Paging, is_deleted_included: bool) -> DeviceList:
    """List devices, a page at a time."""
    chosen = replace(chosen, is_deleted_included=is_deleted_included)
    return await inventory.page(chosen, paging.order, limit=paging.limit, cursor=paging.cursor)


@route(
    "POST /api/v1/devices",
    group="devices",
    operation="addDevice",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(409, 422),
    status=HTTPStatus.CREATED,
)
async def post_device(inventory: Inventory, payload: NewDevice) -> Device:
    """Declare a device."""
    return await inventory.add(payload)


@route(
    "PATCH /api/v1/devices",
    group="devices",
    operation="relabel",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(422,),
    readers={**_FILTER, "is_all": read_all, "is_dry": read_dry_run},
)
async def patch_devices(
    inventory: Inventory, chosen: Filter, payload: LabelChange, is_all: bool, is_dry: bool
) -> Relabelled:
    """Set or take away labels of all devices that match."""
    return await inventory.relabel(chosen, payload, is_all=is_all, is_dry=is_dry)


@route(
    "GET /api/v1/devices/{device_id:str}",
    group="devices",
    operation="getDevice",
    permission="settings",
    scope="device",
    limit="key",
    refusals=(404,),
)
async def get_device(inventory: Inventory, device_id: DeviceIdPath) -> Device:
    """Show one device: its status, and what is declared of it."""
    return await inventory.device(device_id)


@route(
    "PATCH /api/v1/devices/{device_id:str}",
    group="devices",
    operation="changeDevice",
    permission="operate",
    scope="device",
    limit="key",
    refusals=(404, 422),
)
async def patch_device(inventory: Inventory, device_id: DeviceIdPath, payload: DeviceChange) -> Device:
    """Change what is declared of a device; a field that is not given stays."""
    return await inventory.change(device_id, payload)


@route(
    "DELETE /api/v1/devices/{device_id:str}",
    group="devices",
    operation="deleteDevice",
    permission="operate",
    scope="device",
    limit="key",
    refusals=(404,),
)
async def delete_device(inventory: Inventory, device_id: DeviceIdPath) -> Message:
    """Forget a device; its history stays."""
    return await inventory.delete(device_id)


@route(
    "POST /api/v1/devices/{device_id:str}/pause",
    group="devices",
    operation="pause",
    permission="operate",
    scope="device",
    limit="key",
    refusals=(404, 422),
)
async def pause_device(inventory: Inventory, device_id: DeviceIdPath, payload: PauseBody | None) -> Device:
    """Expect nothing of a device until a time, for a while, or until it is resumed."""
    return await inventory.pause(device_id, payload or PauseBody())


@route(
    "POST /api/v1/devices/{device_id:str}/resume",
    group="devices",
    operation="resume",
    permission="operate",
    scope="device",
    limit="key",
    refusals=(404, 409),
)
async def resume_device(inventory: Inventory, device_id: DeviceIdPath) -> Device:
    """Expect a paused device again."""
    return await inventory.resume(device_id)


@route(
    "POST /api/v1/devices/{device_id:str}/forget",
    group="devices",
    operation="forget",
    permission="admin",
    scope="device",
    limit="key",
    refusals=(404, 422),
    readers={"is_dry": read_dry_run},
)
async def forget(
    forgetting: Forgetting, audit_log: AuditLog, device_id: DeviceIdPath, payload: ForgetBody, is_dry: bool
) -> Forgotten:
    """Remove what a device sent before a time, for good: presence and samples that a wrong clock has spoilt.

    It is answered when it is done, which takes as long as writing the blocks that hold any of it.
    """
    if not is_dry:
        await audit_log.note_act(f"device {device_id}", after={"forgotten_before": payload.before})
    return await forgetting.forget(device_id, payload.before, is_dry=is_dry)


@route(
    "GET /api/v1/devices.csv",
    group="devices",
    operation="exportDevices",
    permission="read",
    scope="labels",
    limit="key",
    refusals=(422,),
    media=(_CSV,),
    readers=_FILTER,
)
async def export_devices(inventory: Inventory, chosen: Filter, rendering: Rendering) -> Response[bytes]:
    """Export the devices that match as CSV, which the import takes as it is."""
    headers = {"content-type": "text/csv; charset=utf-8", **note_header(inventory.notes(chosen))}
    return await rendering.text(inventory.export_csv(chosen), headers)


@route(
    "POST /api/v1/devices.csv",
    group="devices",
    operation="importDevices",
    permission="operate",
    scope="labels",
    limit="key",
    refusals=(422,),
    takes=_CSV,
    readers={"is_dry": read_dry_run},
)
async def import_devices(request: AnyRequest, inventory: Inventory, is_dry: bool) -> Imported:
    """Declare the devices of a CSV.

    New devices are added, known ones replaced. Lines that are wrong are refused, each with the reason, the others
    taken.
    """
    check_media(request.headers, [_CSV.media_type])
    return await inventory.import_csv(await whole_body(request), is_dry=is_dry)
