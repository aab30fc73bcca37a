"""The gate: who asks, by what a request shows. Both HTTP paths ask it, so that they cannot disagree.

protected    a key, a token or a session is needed, but for routes of the permission `open`
open         nobody needs a key, and everybody is admin: for people at the machine, until the first key is made
off          as open, on any address, because somebody asked for it: `--auth off`
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from fleetpulse.access.key_table import KeyTable
from fleetpulse.access.key_text import hash_key
from fleetpulse.access.local_request import is_local
from fleetpulse.access.roles import check_role
from fleetpulse.access.scopes import outside
from fleetpulse.access_errors import Forbidden, Unauthenticated
from fleetpulse.errors import Answerable, NotAccepting
from fleetpulse.model.access import EVERYBODY, Attempt, Principal, Scope
from fleetpulse.telemetry.counters import Counters

Auth = Literal["auto", "required", "off"]
KEY_START = "fp_"
_SHOWS = (b"authorization", b"x-api-key", b"cookie")


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request shows of who asks. `token` is that of Authorization or X-API-Key, `session` that of the cookie."""

    token: str = ""
    session: str = ""


class Gate:
    """Lets in whom it knows.

    Attributes:
        keys: shared with whoever makes and revokes keys.
        is_protected: whether a key, a token or a session is needed.
        is_at_machine_only: nobody needs a key because only people at this machine can ask, which each request must
            confirm by its header.
        watchers: what is called with each refusal, and with what was refused; it may return another error to answer,
            which the other watchers do not see. It must be cheap: there may be floods.
        on_change: what is called when one of these two changes.
        now_s: seconds since 1970, and `now_minute`: `set_time` moves them on with the clock, a few times a second.
        take_key: charges a request to the rate limit of whoever asks; raises TooManyRequests.
        verify_token: finds the principal of a token that is no key of ours; None where there are none.
        verify_session: finds the principal of a browser's session.
        closed_by: why it is not known yet who may do what: the keys are being loaded. Nobody is let in meanwhile, and
            nobody is told that a key is wrong.
    """

    def __init__(
        self,
        *,
        counters: Counters,
        auth: Auth,
        is_at_machine: bool,
        has_labels: Callable[[int, Scope], bool],
        id_of: Callable[[int], str],
        closed_by: NotAccepting | None = None,
    ) -> None:
        """`has_labels`: whether a device, by number, has all labels of a scope. `id_of`: the id of a device, by number.

        `is_at_machine`: only people and programs at this machine can reach the service: it listens on loopback, and no
        proxies are trusted.
        """
        self.keys = KeyTable()
        self.now_s = 0.0
        self.now_minute = 0
        self.take_key: Callable[[Principal], None] = _take_any
        self.verify_token: Callable[[str], Awaitable[Principal]] | None = None
        self.verify_session: Callable[[str], Awaitable[Principal]] | None = None
        self.on_change: list[Callable[[], None]] = []
        self.watchers: list[Callable[[Answerable, Attempt], Answerable | None]] = []
        self._counters = counters
        self._auth = auth
        self._is_at_machine = is_at_machine
        self._has_labels = has_labels
        self._id_of = id_of
        self.closed_by = closed_by
        self.were_keys_made = False

    @property
    def were_keys_made(self) -> bool:
        """Whether there was ever a key; from then on `auto` protects loopback too."""
        return self._were_keys_made

    @were_keys_made.setter
    def were_keys_made(self, were_made: bool) -> None:
        self._were_keys_made = were_made
        is_at_machine_only = self._auth == "auto" and self._is_at_machine and not were_made
        self.is_at_machine_only = is_at_machine_only and self.closed_by is None
        self.is_protected = self._auth != "off" and not self.is_at_machine_only
        for call in self.on_change:
            call()

    def open(self, *, were_keys_made: bool) -> None:
        """Let in whom it knows, now that all keys are loaded. `were_keys_made`: whether there was ever one."""
        self.closed_by, self.were_keys_made = None, were_keys_made

    @property
    def state(self) -> Literal["open", "protected", "off"]:
        """Whether anybody needs a key: see the module."""
        return "protected" if self.is_protected else "open" if self.is_at_machine_only else "off"

    @property
    def warning(self) -> str:
        """What must be said again and again where nobody needs a key although others reach the service; else empty."""
        if self._auth != "off" or self._is_at_machine:
            return ""
        return "nobody needs a key (auth = off): whoever reaches this address can report, read and change everything"

    def set_time(self, now_s: float) -> None:
        """Tell what time it is, in seconds since 1970."""
        self.now_s, self.now_minute = now_s, int(now_s) // 60

    async def identify(self, shown: Shown) -> Principal | None:
        """Who asks; None: nothing is shown, and something is needed. Raises: Unauthenticated: it is wrong."""
        if not self.is_protected:
            return EVERYBODY
        if self.closed_by is not None:
            raise self.closed_by
        if shown.token.startswith(KEY_START):
            return self.principal(shown.token.encode("ascii", "replace"))
        if shown.token:
            if self.verify_token is None:
                raise Unauthenticated("the key is wrong: a key begins with `fp_`", reason="wrong_key")
            return await self.verify_token(shown.token)
        if shown.session and self.verify_session is not None:
            return await self.verify_session(shown.session)
        return None

    def principal(self, token: bytes) -> Principal:
        """The holder of a key. Raises: Unauthenticated."""
        row = self.keys.find(token, self.now_s)
        self.keys.used_minutes[row] = self.now_minute
        return self._holder(row)

    def _holder(self, row: int) -> Principal:
        device = self.keys.devices[row]
        if device < 0:
            return self.keys.principals[row]
        number, device_id = self.keys.numbers[row], self._id_of(device)
        return Principal(
            kind="key", name=f"key {number}", role="device", device=device, device_id=device_id, key=number
        )

    def is_plain(self, headers: Iterable[tuple[bytes, bytes]], *, key: bytes) -> bool:
        """See ReportGate."""
        if not self.is_protected:
            return not self.is_at_machine_only or is_local(headers)
        shown = [(name, value.lower()) for name, value in headers if name in _SHOWS]
        return shown in ([(b"authorization", b"bearer " + key)], [(b"x-api-key", key)]) if key else not shown

    def refusal_of(self, key: bytes, device: int | None) -> Answerable | None:
        """See ReportGate."""
        if not key:
            return self.closed_by or Unauthenticated.without_key()
        keys, digest = self.keys, hash_key(key)
        if device is not None and (row := keys.is_latest(digest, device)) and keys.expires_s[row] > self.now_s:
            keys.used_minutes[row] = self.now_minute
            return None
        row = keys.look(key, digest)
        if not row:
            return self.closed_by or Unauthenticated.wrong_key()
        if keys.expires_s[row] <= self.now_s:
            return Unauthenticated.expired_key()
        if keys.devices[row] != device:
            try:
                self._check_other(row, device)
            except Answerable as error:
                return error
        keys.used_minutes[row] = self.now_minute
        return None

    def refused(self, error: Answerable, attempt: Attempt) -> Answerable:
        """See ReportGate."""
        if attempt.principal is None and attempt.key and _tells_who(error):
            attempt = attempt._replace(principal=self._holder_of(attempt.key))
        answer = error
        for watch in self.watchers:
            answer = watch(error, attempt) or answer
        self._counters.requests_refused[answer.reason] += 1
        return answer

    def _holder_of(self, key: bytes) -> Principal | None:
        """Who has a key, which may have expired; None: it is wrong."""
        row = self.keys.look(key, hash_key(key))
        return self._holder(row) if row else None

    def _check_other(self, row: int, device: int | None) -> None:
        """A report with a key that is not the device's own."""
        principal = self._holder(row)
        check_role(principal, "report")
        if principal.role != "device":
            self.take_key(principal)
        self.check_device(principal, device)

    def check_device(self, principal: Principal, device: int | None) -> None:
        """Raises: UnknownDevice: the device is outside the scope. Forbidden: a device asks for another one."""
        if principal.role == "device" and principal.device != device:
            raise Forbidden(
                f"{principal.name} is of the device {principal.device_id}, which asks and reports as itself only",
                reason="other_device",
            )
        if principal.scope and (device is None or not self._has_labels(device, principal.scope)):
            raise outside()


def _tells_who(error: Answerable) -> bool:
    """Whether the key that was shown is right: who has it may not do this, or not any more."""
    return isinstance(error, Forbidden) or error.reason == "expired_key"


def _take_any(_principal: Principal) -> None:
    """No limit."""
