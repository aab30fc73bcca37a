"""Who may pass to a handler: what every request must show, and what its route needs."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import HTTPRouteHandler

from fleetpulse.access.credentials import KEY_IN_QUERY, check_query, shown_in
from fleetpulse.access.gate import KEY_START, Gate, Shown
from fleetpulse.access.local_request import check_local
from fleetpulse.access.rate_limits import RateLimits
from fleetpulse.access.roles import check_role, check_scope
from fleetpulse.access_errors import TooManyRequests, Unauthenticated
from fleetpulse.api.bind import AnyRequest
from fleetpulse.api.request_id import request_id_of
from fleetpulse.api.routes import RouteFacts
from fleetpulse.errors import Answerable, Refusal
from fleetpulse.ingest.client_certificate import CERTIFIED
from fleetpulse.model.access import Attempt, Principal
from fleetpulse.pipeline.asker import identify_asker
from fleetpulse.pipeline.newest import Newest

_PRINCIPAL = "fleetpulse.principal"
_IS_REFUSED = "fleetpulse.is_refused"
_HAS_SESSION = "fleetpulse.has_session"


async def admit(
    connection: ASGIConnection[Any, Any, Any, Any], facts: RouteFacts, gate: Gate, limits: RateLimits, newest: Newest
) -> Principal | None:
    """Who asks, once they may use the route; None: nobody that is known, on a route that is open to all.

    Nothing that is shown is looked at on routes without a limit, which must always be answered, and at little cost.
    Raises: Unauthenticated; Forbidden; TooManyRequests; UnknownDevice; Malformed.
    """
    registry = newest.registry
    shown, limit, is_open = Shown(), facts.access.limit, facts.access.permission == "open"
    principal: Principal | None = None
    try:
        check_query(connection.scope["query_string"])
        if is_open and limit == "none":
            return None
        if gate.is_at_machine_only:
            check_local(connection.scope["headers"], is_old=connection.scope["http_version"] == "1.0")
        if gate.is_protected:
            shown = shown_in(connection.scope["headers"])
        principal = await newest.identify(shown) or await _certified(connection, newest)
        identify_asker(principal)
        check_role(principal, facts.access.permission)
        check_scope(principal, facts.access.scope)
        if principal is not None:
            limits.take_request(principal, limit)
        if principal is not None and facts.access.scope == "device":
            device_id = connection.path_params["device_id"]
            if not (facts.access.permission == "report" and registry.may_register(device_id)):
                await newest.look_for({"device_id": device_id})
            number = registry.numbers.get(device_id, registry.deleted.get(device_id))
            is_new = number is None and facts.access.permission == "report" and registry.may_register(device_id)
            if not is_new or principal.role == "device":
                gate.check_device(principal, number)
    except Answerable as error:
        if not is_open or isinstance(error, TooManyRequests) or error.reason == KEY_IN_QUERY:
            raise _refused(connection, error, gate, shown, principal) from error
        if isinstance(error, Refusal):  # the answer is that to anybody, but whoever tries keys here is found
            _noted(connection, error, gate, shown, principal)
        principal = None
        identify_asker(None)
    if principal is None and limit != "none" and gate.is_protected:
        refusal = limits.refusal_of_address(client_address(connection))
        if refusal is not None:
            raise _refused(connection, refusal, gate, shown)
    if principal is not None and shown.session and not shown.token:
        connection.scope[_HAS_SESSION] = True  # type: ignore[literal-required]  # as above
    connection.scope[_PRINCIPAL] = principal  # type: ignore[literal-required]  # a key of ours in the scope of ASGI
    return principal


def unsought(
    connection: ASGIConnection[Any, Any, Any, Any], facts: RouteFacts, principal: Principal | None
) -> dict[str, Any]:
    """What the path names, less the device that `admit` has looked for."""
    is_sought = principal is not None and facts.access.scope == "device"
    return {name: value for name, value in connection.path_params.items() if not is_sought or name != "device_id"}


def refusal_of_unrouted(
    connection: ASGIConnection[Any, Any, Any, Any], gate: Gate, limits: RateLimits
) -> Answerable | None:
    """Charge a request for which there is no handler to the key that it shows, or else to its address.

    Tokens and sessions are not looked at: that costs more than the answer.
    Returns: why it is not answered, None where it is.
    """
    if not gate.is_protected:
        return None
    shown = Shown()
    try:
        shown = shown_in(connection.scope["headers"])
        if shown.token.startswith(KEY_START):
            limits.take_key(gate.principal(shown.token.encode("ascii", "replace")))
            return None
    except TooManyRequests as error:
        return _refused(connection, error, gate, shown)
    except Answerable as error:
        _noted(connection, error, gate, shown, None)
    refusal = limits.refusal_of_address(client_address(connection))
    return None if refusal is None else _refused(connection, refusal, gate, shown)


async def _certified(connection: ASGIConnection[Any, Any, Any, Any], newest: Newest) -> Principal | None:
    """The device that the connection has a certificate for. Raises: Unauthenticated: there is no such device."""
    device_id: str = (connection.scope.get("extensions") or {}).get(CERTIFIED, "")  # type: ignore[assignment]  # ours
    if not device_id:
        return None
    await newest.look_for({"device_id": device_id})
    registry = newest.registry
    device = registry.numbers.get(device_id, registry.deleted.get(device_id))
    if device is None:
        raise Unauthenticated(
            f"the client certificate names `{device_id}`, which is no device here: declare it first",
            reason="unknown_certificate",
        )
    return Principal(
        kind="certificate", name=f"the certificate of {device_id}", role="device", device=device, device_id=device_id
    )


def client_address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """The address of whoever asks, also behind trusted proxies; "" where there is none."""
    return "" if connection.client is None else connection.client.host


def attempt_of(request: ASGIConnection[Any, Any, Any, Any]) -> Attempt:
    """What the audit log tells of a request that is refused; also a reader of the parameter `attempt`."""
    handler = request.scope.get("route_handler")
    return Attempt(
        address=client_address(request),
        principal=request.scope.get(_PRINCIPAL),  # type: ignore[arg-type]  # as above
        operation=str(handler.operation_id) if isinstance(handler, HTTPRouteHandler) else "",
        request_id=request_id_of(request.scope),
    )


def _refused(
    connection: ASGIConnection[Any, Any, Any, Any],
    error: Answerable,
    gate: Gate,
    shown: Shown,
    principal: Principal | None = None,
) -> Answerable:
    """Count a refusal. Returns: the error to answer."""
    connection.scope[_IS_REFUSED] = True  # type: ignore[literal-required]  # a key of ours in ASGI's scope
    return _noted(connection, error, gate, shown, principal)


def _noted(
    connection: ASGIConnection[Any, Any, Any, Any],
    error: Answerable,
    gate: Gate,
    shown: Shown,
    principal: Principal | None,
) -> Answerable:
    attempt = attempt_of(connection)._replace(key=shown.token.encode("latin-1"), principal=principal)
    return gate.refused(error, attempt)


def has_session(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Whether `admit` knows who asks by the cookie of a browser, which the browser sends whatever page asks."""
    return _HAS_SESSION in connection.scope


def is_refused(request: AnyRequest) -> bool:
    """Whether `admit` refused a request, and counted that."""
    return _IS_REFUSED in request.scope


def principal_of(request: AnyRequest) -> Principal | None:
    """Who asks, as `admit` found it; a reader of the parameter `principal`."""
    found: Principal | None = request.scope.get(_PRINCIPAL)  # type: ignore[assignment]  # as above
    return found
