"""A backup of the running node, sent while it is made."""

from fleetpulse.api.admission import client_address, principal_of
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.file_answer import FileAnswer
from fleetpulse.api.request_id import request_id_of
from fleetpulse.api.routes import Media, route
from fleetpulse.model.access import Principal
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.backups import Backups

TAR = "application/x-tar"


def read_address(request: AnyRequest) -> str:
    """The address of whoever asks."""
    return client_address(request)


def read_request_id(request: AnyRequest) -> str:
    """The id of the request."""
    return request_id_of(request.scope)


@route(
    "GET /api/v1/backup",
    group="service",
    operation="getBackup",
    permission="admin",
    scope="whole",
    limit="key",
    media=(Media(TAR, "a tar archive, which `fleetpulse restore` reads"),),
    readers={"principal": principal_of, "address": read_address, "request_id": read_request_id},
)
async def get_backup(
    *, backups: Backups, audit_log: AuditLog, principal: Principal | None, address: str, request_id: str
) -> FileAnswer:
    """Back up everything acknowledged so far: journal, catalog and blocks, without `admin.key` and other secrets.

    A backup that cannot be finished ends with a broken connection; `fleetpulse backup` checks every file of it.
    """
    # It reads only, but everything: who took it must be known.
    await audit_log.note(principal, "getBackup", "backup", address=address, request_id=request_id)
    headers = {"content-disposition": 'attachment; filename="fleetpulse-backup.tar"'}
    return FileAnswer(await backups.archive(), media_type=TAR, headers=headers)
