"""The body of a request, whole, or an error: less than was announced must never pass for what was sent."""

from litestar.exceptions import InternalServerException

from fleetpulse.api.bind import AnyRequest
from fleetpulse.errors import Malformed


async def whole_body(request: AnyRequest) -> bytes:
    """The body as it was sent. Raises: Malformed: it ended before it was complete."""
    try:
        body = await request.body()
    except InternalServerException as error:  # what the framework calls a connection that ended meanwhile
        raise Malformed("the connection ended before the body was complete", reason="half_request") from error
    announced = request.content_length
    if announced is not None and announced != len(body):
        raise Malformed(f"Content-Length announces {announced} bytes, but {len(body)} came", reason="half_request")
    return body


def is_body_announced(request: AnyRequest) -> bool:
    """Whether the header says that there is a body: a Content-Length above 0, or a Transfer-Encoding."""
    return bool(request.content_length) or "transfer-encoding" in request.headers
