"""The errors of access, which the tree in `errors.py` lists with all others."""

from fleetpulse.errors import Answerable, Refusal


class Unauthenticated(Refusal):
    """Who asks is not known: there is no key, token or session, or none that is valid."""

    status = 401
    title = "Unauthorized"

    @classmethod
    def without_key(cls) -> "Unauthenticated":
        """Nothing is shown, and something is needed."""
        return cls(
            "this needs a key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`",
            reason="no_key",
            detail="the first one is in the file admin.key of the data folder; `fleetpulse keys add` makes others",
        )

    @classmethod
    def wrong_key(cls) -> "Unauthenticated":
        """No key is as it is shown; whether it ever was does not matter."""
        return cls("the key is wrong, or was revoked", reason="wrong_key")

    @classmethod
    def expired_key(cls) -> "Unauthenticated":
        """The key is right, and its time is over."""
        return cls("the key has expired: ask for a new one", reason="expired_key")


class Forbidden(Refusal):
    """Who asks is known, and may not do this."""

    status = 403
    title = "Forbidden"


class TooManyRequests(Answerable):
    """The sender is above its rate. `retry_after_s`: after how many seconds its next request is taken.

    `policy` and `limit` are the values of the headers RateLimit-Policy and RateLimit.
    """

    status = 429
    title = "Too many requests"

    def __init__(
        self, msg: str, *, reason: str, retry_after_s: int, policy: str = "", limit: str = "", detail: str = ""
    ) -> None:
        super().__init__(msg, reason=reason, detail=detail)
        self.retry_after_s = retry_after_s
        self.policy = policy
        self.limit = limit
