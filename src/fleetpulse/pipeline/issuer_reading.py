"""What an issuer tells of its keys, over HTTP: by discovery, or from a URL that people gave. Blocks.

Nothing goes out but to the configured address: redirects are not followed, no proxy of the environment is used, and the
URL of the keys that discovery tells must be of the same scheme, host and port. By plain HTTP only this machine is
asked, unless `issuer_allow_http`.
"""

import http.client
import json
import ssl
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from fleetpulse.access.local_request import is_loopback_host
from fleetpulse.errors import SettingsError

DISCOVERY = "/.well-known/openid-configuration"
PIECE_BYTES = 16_384


class IssuerAway(Exception):
    """The issuer did not answer, or answered something else; the text says what, and never what it sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerAddress:
    """Where an issuer is asked, and how long and how much it may answer.

    Attributes:
        issuer: its URL, exactly as it stands in its tokens.
        keys_url: that of its keys; "": its discovery tells it.
    """

    issuer: str
    keys_url: str
    timeout_s: float
    bytes_max: int
    allows_http: bool

    def check(self, name: str) -> None:
        """Raises: SettingsError: the setting `name`, or that of the keys' URL, is no URL that may be asked."""
        for setting, url in ((name, self.issuer), (name.replace("_issuer", "_keys_url"), self.keys_url)):
            if url:
                try:
                    _parts(url, allows_http=self.allows_http)
                except IssuerAway as error:
                    raise SettingsError(f"{setting}: {error}") from error

    def read(self) -> bytes:
        """The JWKS of the issuer. Blocks. Raises: IssuerAway."""
        deadline_s = time.monotonic() + self.timeout_s
        return self._get(self.keys_url or self._discovered(deadline_s), deadline_s)

    def _discovered(self, deadline_s: float) -> str:
        text = self._get(self.issuer.rstrip("/") + DISCOVERY, deadline_s)
        try:
            document = json.loads(text)
            named, url = document["issuer"], document["jwks_uri"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IssuerAway("its discovery is no JSON object with `issuer` and `jwks_uri`") from error
        if named != self.issuer:
            raise IssuerAway(
                f"its discovery names another issuer, `{str(named)[:200]}`: configure that, letter by letter"
            )
        if not isinstance(url, str) or _origin(url) != _origin(self.issuer):
            raise IssuerAway(
                f"its keys are at another address, `{str(url)[:200]}`: if that is right, give it as the setting of the "
                "keys' URL (oidc_keys_url, device_keys_url)"
            )
        return url

    def _get(self, url: str, deadline_s: float) -> bytes:
        parts = _parts(url, allows_http=self.allows_http)
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise IssuerAway(f"no answer within {self.timeout_s:g} s (issuer_timeout_s)")
        connection = (
            http.client.HTTPSConnection(
                str(parts.hostname), parts.port, timeout=left_s, context=ssl.create_default_context()
            )
            if parts.scheme == "https"
            else http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=left_s)
        )
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"Accept": "application/json", "Accept-Encoding": "identity"})
            return self._read(connection, url, deadline_s)
        except (OSError, http.client.HTTPException, UnicodeError, ValueError) as error:
            why = (
                f"no answer within {self.timeout_s:g} s (issuer_timeout_s)"
                if isinstance(error, TimeoutError)
                else error
            )
            raise IssuerAway(f"{url}: {str(why) or type(error).__name__}") from error
        finally:
            connection.close()

    def _read(self, connection: http.client.HTTPConnection, url: str, deadline_s: float) -> bytes:
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise IssuerAway(f"{url}: it answered {response.status}; redirects are not followed")
        body = bytearray()
        while piece := response.read1(PIECE_BYTES):
            body += piece
            if len(body) > self.bytes_max:
                raise IssuerAway(f"{url}: the answer is longer than {self.bytes_max} bytes (issuer_bytes_max)")
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            if connection.sock is not None:
                connection.sock.settimeout(left_s)  # one who sends a byte now and then does not go on for ever
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return bytes(body)


def _parts(url: str, *, allows_http: bool) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise IssuerAway(f"`{url[:200]}` is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.fragment or port == 0:
        raise IssuerAway(f"`{url[:200]}` must be https://HOST[:PORT]/PATH")
    if parts.scheme == "http" and not (allows_http or is_loopback_host(parts.netloc)):
        raise IssuerAway(
            f"`{url[:200]}` is asked by plain HTTP, so whoever is on the way could be the issuer: use https, or say "
            "issuer_allow_http"
        )
    return parts


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", "", None
