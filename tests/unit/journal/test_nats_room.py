from fleetpulse.journal.nats_room import account_share, filled_share


def test_the_share_of_a_server_is_what_it_stores_of_what_it_may_store() -> None:
    status = {"jetstream": {"config": {"max_storage": 200}, "stats": {"storage": 50}}}
    assert filled_share(status) == 0.25
    assert filled_share({"jetstream": {"config": {"max_storage": 0}}}) == 0
    assert filled_share({}) == 0


def test_an_account_counts_only_where_it_has_a_limit() -> None:
    assert account_share({"storage": 9, "limits": {"max_storage": 10}}) == 0.9
    assert account_share({"storage": 9, "limits": {"max_storage": -1}}) == 0
    assert account_share({}) == 0
