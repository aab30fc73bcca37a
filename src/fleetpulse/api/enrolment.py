"""Enrolment: keys with which new devices get their own, and the route by which they do."""

from http import HTTPStatus

from fleetpulse.access_errors import Forbidden
from fleetpulse.api.admission import attempt_of, principal_of
from fleetpulse.api.parameters import DeviceIdPath
from fleetpulse.api.routes import route
from fleetpulse.catalog.acting import current_act
from fleetpulse.errors import Answerable
from fleetpulse.ingest.enrolment_declarations import EnrolBody, NewEnrolmentKey
from fleetpulse.model.access import Attempt, Principal
from fleetpulse.notation.count import count_text
from fleetpulse.pipeline.audit_log import AuditLog
from fleetpulse.pipeline.enrolments import Enrolments
from fleetpulse.query.declaration_answers import Message
from fleetpulse.query.enrolment_answers import (
    EnrolledDevice,
    EnrolmentKeys,
    MadeEnrolmentKey,
    describe_enrolled,
    describe_enrolment_key,
    describe_made_enrolment_key,
)


@route(
    "POST /api/v1/enroll",
    group="access",
    operation="enrol",
    permission="enrol",
    scope="none",
    limit="enrol",
    refusals=(409, 422, 429),
    status=HTTPStatus.CREATED,
    readers={"principal": principal_of, "attempt": attempt_of},
)
async def post_enrolment(
    enrolments: Enrolments, audit_log: AuditLog, principal: Principal, attempt: Attempt, payload: EnrolBody
) -> EnrolledDevice:
    """Register a new device with an enrolment key, and get the device's own key.

    Where no answer came, repeat it with the same `enroll_secret` within 10 minutes: as long as the key was not used,
    it is revoked, and the answer has another one. A device that has enrolled can do so again only once somebody lets
    it.
    """
    act = current_act()
    if act is not None:
        act.subject = f"device {payload.device_id[:128]}"
    try:
        issued = await enrolments.enrol(payload, principal=principal)
    except Answerable as error:
        if not isinstance(error, Forbidden):  # these are noted for all routes
            audit_log.refused(error, attempt)
        raise
    return describe_enrolled(issued.device, issued.key, issued.text, is_repeated=issued.is_repeated)


@route(
    "GET /api/v1/enrolment-keys",
    group="access",
    operation="listEnrolmentKeys",
    permission="admin",
    scope="whole",
    limit="key",
)
async def get_enrolment_keys(enrolments: Enrolments) -> EnrolmentKeys:
    """List enrolment keys, and how many devices have enrolled with each. They are revoked as other keys are."""
    return EnrolmentKeys([describe_enrolment_key(key, terms) for key, terms in await enrolments.keys()])


@route(
    "POST /api/v1/enrolment-keys",
    group="access",
    operation="makeEnrolmentKey",
    permission="admin",
    scope="whole",
    limit="key",
    refusals=(409, 422),
    status=HTTPStatus.CREATED,
    readers={"principal": principal_of},
)
async def post_enrolment_key(
    enrolments: Enrolments, principal: Principal | None, payload: NewEnrolmentKey
) -> MadeEnrolmentKey:
    """Make an enrolment key; its text is in this answer only."""
    (key, text), terms = await enrolments.make_key(payload, principal=principal)
    return describe_made_enrolment_key(key, terms, text)


@route(
    "POST /api/v1/devices/{device_id:str}/allow-enrolment",
    group="access",
    operation="allowEnrolment",
    permission="operate",
    scope="device",
    limit="key",
    refusals=(404,),
)
async def allow_enrolment(enrolments: Enrolments, device_id: DeviceIdPath) -> Message:
    """Let a device enrol that is registered already, such as one that was reset; its keys are revoked."""
    revoked = await enrolments.allow(device_id)
    return Message(f"device {device_id} may enrol once; {count_text(revoked, 'key')} revoked")
