"""The headers of a refusal, as the draft of the IETF has them."""

from fleetpulse.access.rate import Rate
from fleetpulse.access.refused_rate import SETTINGS, too_many
from fleetpulse.limits import About
from fleetpulse.rate_settings import RateSettings
from fleetpulse.sign_in_limits import SignInLimits


def test_a_refusal_names_the_limit_what_is_left_and_when_to_come_back() -> None:
    refused = too_many("key_rate", "too fast", Rate(0.5, 4), next_s=108.0, now_s=100.0)
    assert (refused.reason, refused.retry_after_s, refused.status) == ("key_rate", 2, 429)
    assert (refused.policy, refused.limit) == ('"key_rate";q=4;w=8', '"key_rate";r=0;t=2')
    assert "after 2 s" in refused.detail


def test_each_limit_names_settings_that_there_are() -> None:
    known = {name for group in (RateSettings, SignInLimits) for name in dir(group) if not name.startswith("_")}
    assert {name for names in SETTINGS.values() for name in names.split(", ")} <= known
    assert all(
        isinstance(field.metadata["about"], About) for field in vars(RateSettings)["__dataclass_fields__"].values()
    )
