"""A small HTTP client: the standard library's, with JSON; it holds every answer against the OpenAPI document."""

import http.client
import json
from typing import Any

import open_clients
from api_document import check_answer


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        open_clients.note(self)

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """(status, decoded body); a bytes body goes as it is, anything else as JSON."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        given = {} if raw is None else {"Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, raw, given)
        response = self.connection.getresponse()
        text = response.read()
        if method != "HEAD":
            check_answer(method, path, response.status, response.headers.get("content-type", ""), text)
        return response.status, json.loads(text) if text else None

    def close(self) -> None:
        self.connection.close()
