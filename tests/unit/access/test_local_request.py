import pytest

from fleetpulse.access.local_request import check_local, is_loopback_host
from fleetpulse.access_errors import Forbidden


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1:6733", True),
        ("127.5.0.1", True),
        ("localhost", True),
        ("LOCALHOST.:80", True),
        ("app.localhost:1", True),
        ("[::1]:6733", True),
        ("[::ffff:127.0.0.1]", False),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("10.0.0.1", False),
        ("", False),
    ],
)
def test_which_names_are_of_this_machine(host: str, is_local: bool) -> None:
    assert is_loopback_host(host) is is_local


@pytest.mark.parametrize("name", [b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-real-ip", b"via"])
def test_what_a_proxy_passed_on_is_refused(name: bytes) -> None:
    check_local([(b"host", b"localhost"), (b"accept", b"*/*")])
    with pytest.raises(Forbidden, match="trusted_proxies"):
        check_local([(b"host", b"localhost"), (name, b"1.2.3.4")])


def test_a_request_such_as_nginx_passes_on_as_it_comes_is_refused() -> None:
    passed_on = [(b"host", b"127.0.0.1:6733"), (b"connection", b"close")]
    check_local(passed_on)
    check_local([(b"host", b"127.0.0.1:6733")], is_old=True)
    with pytest.raises(Forbidden, match="nginx"):
        check_local(passed_on, is_old=True)
