"""Web pages that ask: no page of another origin may change anything, and none may read, but for those that are listed.

A browser adds what this looks at by itself, and no script can change it. Programs and devices send neither header, and
pass. The rule is that of Go's CrossOriginProtection: Sec-Fetch-Site where the browser sends it, which it does over
HTTPS and on loopback, else the host of Origin, which must be the one that was asked.
"""

from collections.abc import Iterable, Mapping
from http import HTTPMethod
from urllib.parse import urlsplit

from fleetpulse.errors import SettingsError, WebPage

SAFE = (HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS)
_ASKED_HEADERS = b"Authorization, Content-Type, Content-Encoding, X-API-Key, If-None-Match, X-Request-Id"
_SHOWN_HEADERS = b"ETag, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id, fleetpulse-notes"
_PREFLIGHT_S = b"600"
Headers = dict[bytes, bytes]


class Origins:
    """Our own origin, and those of other web pages that may ask (CORS)."""

    def __init__(self, listed: str = "") -> None:
        """`listed`: origins such as `https://grafana.example:3000`, with commas between.

        Raises: SettingsError: one of them is something else.
        """
        self._listed = frozenset(_origin(one.strip()) for one in listed.split(",") if one.strip())

    def check_write(self, method: str, headers: Mapping[str, str]) -> None:
        """Raises: WebPage: a page of another origin wants to change something."""
        origin = headers.get("origin")
        if method in SAFE or origin in self._listed:
            return
        site = headers.get("sec-fetch-site")
        is_ours = site.strip().lower() in ("same-origin", "none") if site is not None else _is_host_of(origin, headers)
        if not is_ours:
            raise WebPage(
                f"a web page of another origin (`{(origin or 'unknown')[:100]}`) must not change anything here; one "
                "that may is listed in cors_origins"
            )

    @staticmethod
    def check_session(method: str, headers: Mapping[str, str], *, is_report: bool) -> None:
        """Let a request with a session's cookie change something only where it certainly comes from a page of ours.

        `is_report`: GET, too, changes something.
        Raises: WebPage: it comes from another origin, listed or not, or nothing tells from where.
        """
        if method in SAFE and not is_report:
            return
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        is_ours = site.strip().lower() == "same-origin" if site is not None else _is_host_of(origin or "", headers)
        if not is_ours:
            raise WebPage(
                "this was sent with the cookie of a person who signed in, but not by a page of this service; a program "
                "shows an access token (POST /api/v1/login), or a key"
            )

    def headers_of(self, method: str, headers: Iterable[tuple[bytes, bytes]], allow: bytes) -> Headers:
        """What an answer to a request says of pages of other origins; nothing where none is listed.

        Args: allow: the methods of the route, for an answer to OPTIONS.
        """
        if not self._listed:
            return {}
        known = dict(headers)
        origin = known.get(b"origin", b"")
        if origin.decode("latin-1") not in self._listed:
            return {}
        found = {b"access-control-allow-origin": origin}
        if method == HTTPMethod.OPTIONS and b"access-control-request-method" in known:
            return found | {
                b"access-control-allow-methods": allow,
                b"access-control-allow-headers": _ASKED_HEADERS,
                b"access-control-max-age": _PREFLIGHT_S,
            }
        return found | {b"access-control-expose-headers": _SHOWN_HEADERS}

    @property
    def are_listed(self) -> bool:
        """Whether answers depend on who asks, so that caches must keep them apart."""
        return bool(self._listed)


def _is_host_of(origin: str | None, headers: Mapping[str, str]) -> bool:
    """Whether there is no Origin, or that of the host that was asked."""
    return origin is None or origin.partition("://")[2].lower() == headers.get("host", "").lower() != ""


def _origin(text: str) -> str:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or f"{parts.scheme}://{parts.netloc}" != text:
        raise SettingsError(
            f"cors_origins: `{text[:100]}` is no origin; expected something like https://grafana.example:3000, without "
            "a path, and `*` is not taken"
        )
    return text.lower()
