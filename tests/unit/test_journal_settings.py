"""Where a shared journal is, in one setting."""

import pytest

from fleetpulse.errors import SettingsError
from fleetpulse.journal_settings import StreamPlace, check_engines, monitor_urls, stream_place
from fleetpulse.settings import load_settings


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("nats://one", StreamPlace(("one:4222",), "fleetpulse", is_tls=False)),
        ("nats://one:1,two,[::1]:3/fleet-2", StreamPlace(("one:1", "two:4222", "[::1]:3"), "fleet-2", is_tls=False)),
        ("tls://one/", StreamPlace(("one:4222",), "fleetpulse", is_tls=True)),
    ],
)
def test_a_journal_names_servers_and_a_stream(text: str, place: StreamPlace) -> None:
    assert stream_place(text) == place
    assert load_settings({"journal": text}, {}, None).journal == text


@pytest.mark.parametrize(
    "text", ["http://one", "one", "nats://", "nats://one,/s", "nats://one:x/s", "nats://one/a.b", "nats://one/a/b"]
)
def test_what_names_no_stream_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(SettingsError, match="must be like nats://host1:4222,host2:4222/stream"):
        load_settings({"journal": text}, {}, None)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="nats_user and nats_password") as refused:
        stream_place("nats://me:secret@one/s")
    assert "secret" not in str(refused.value)


def test_monitors_are_urls() -> None:
    assert monitor_urls("http://one:8222/, https://two ,") == ("http://one:8222", "https://two")
    assert monitor_urls("") == ()
    with pytest.raises(SettingsError, match="nats_monitors must be URLs such as http://host:8222, not `one:8222`"):
        load_settings({"nats_monitors": "one:8222"}, {}, None)


@pytest.mark.parametrize(
    ("journal", "catalog", "blocks", "text"),
    [
        ("nats://one", "", "", r"journal is for nodes .*give also catalog = postgresql://… and blocks = s3://…"),
        ("nats://one", "postgresql://one/f", "", r"journal and catalog are .*give also blocks = s3://…"),
        ("nats://one", "", "s3://one", r"give also catalog = postgresql://… \(docs"),
        ("", "postgresql://one/f", "", r"catalog is for .*give also journal = nats://… and blocks = s3://…"),
        ("", "postgresql://one/f", "s3://one", r"leave catalog empty"),
    ],
)
def test_nodes_share_all_three_or_none(journal: str, catalog: str, blocks: str, text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        check_engines(journal=journal, catalog=catalog, blocks=blocks)


def test_one_machine_may_keep_its_blocks_elsewhere_and_nodes_share_all() -> None:
    check_engines(journal="", catalog="", blocks="")
    check_engines(journal="", catalog="", blocks="s3://one")
    check_engines(journal="nats://one", catalog="postgresql://one/f", blocks="s3://one")
