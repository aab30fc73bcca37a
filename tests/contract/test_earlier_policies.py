"""What policies were before they changed, for nodes that apply events of the time before."""

from collections.abc import Callable

from fleetpulse.catalog.catalog import Catalog
from fleetpulse.model.device import Device
from fleetpulse.model.heartbeat_policy import HeartbeatPolicy
from fleetpulse.model.manifest import Manifest
from fleetpulse.model.own_policy import OwnPolicy
from fleetpulse.model.policy_history import SINCE_EVER_NS, PolicyChange

Connect = Callable[[], Catalog]


def shared(connect: Connect) -> Catalog:
    catalog = connect()
    catalog.share()
    catalog.register([Device("a", interval_s=60), Device("b")], devices_max=9, at_ns=1)
    return catalog


def test_each_version_that_changes_a_policy_has_what_was_declared_before(connect: Connect) -> None:
    catalog, other = shared(connect), connect()
    versions = []
    for at_ns, interval_s in ((5, 30), (6, 10)):
        catalog.update({0: Device("a", interval_s=interval_s), 1: Device("b", {"site": "x"})}, at_ns=at_ns)
        versions.append(catalog.version())
    first = (OwnPolicy(SINCE_EVER_NS, SINCE_EVER_NS, 60, None),)
    second = (*first, OwnPolicy(5, 5, 30, None))
    assert other.policies.earlier(after=0) == {0: [(versions[0], first), (versions[1], second)]}
    assert other.policies.earlier([0], after=versions[0]) == {0: [(versions[1], second)]}
    assert other.policies.earlier([1], after=0) == other.policies.earlier(after=versions[1]) == {}
    catalog.register([Device("b", interval_s=7)], devices_max=9, at_ns=9)
    assert other.policies.earlier(after=versions[1]) == {1: [(catalog.version(), ())]}


def test_one_transaction_has_what_was_before_its_first_change(connect: Connect) -> None:
    catalog = shared(connect)
    with catalog.transaction():
        for interval_s in (30, 10):
            catalog.update({1: Device("b", interval_s=interval_s)}, at_ns=5)
    assert catalog.policies.earlier(after=0) == {1: [(catalog.version(), ())]}


def test_the_policies_of_the_service_are_kept_in_the_same_way(connect: Connect) -> None:
    catalog = shared(connect)
    usual, short = HeartbeatPolicy(60, 240), HeartbeatPolicy(5, 240)
    catalog.policies.note_default(usual, at_ns=1, changes_max=9)
    assert catalog.policies.earlier_defaults(after=0) == []
    catalog.policies.note_default(short, at_ns=2, changes_max=9)
    before = (PolicyChange(SINCE_EVER_NS, usual),)
    assert catalog.policies.earlier_defaults(after=0) == [(catalog.version(), before)]
    assert catalog.policies.earlier_defaults(after=catalog.version()) == []


def test_they_are_dropped_with_the_second_checkpoint_since(connect: Connect) -> None:
    catalog = shared(connect)
    catalog.update({0: Device("a", interval_s=30)}, at_ns=5)
    version = catalog.version()
    catalog.commit_manifest(Manifest(position=5, catalog_version=version))
    catalog.commit_manifest(Manifest(position=5, catalog_version=version, alive_at_ns=6))  # compaction
    assert catalog.manifest().catalog_version == version
    assert list(catalog.policies.earlier(after=0)) == [0], "a node may not be at that checkpoint yet"
    catalog.update({1: Device("b", interval_s=30)}, at_ns=7)
    catalog.commit_manifest(Manifest(position=9, catalog_version=catalog.version()))
    assert list(catalog.policies.earlier(after=0)) == [1]


def test_a_catalog_keeps_them_only_where_several_nodes_share_it(connect: Connect) -> None:
    catalog = connect()
    catalog.register([Device("a", interval_s=60)], devices_max=9, at_ns=1)
    catalog.update({0: Device("a", interval_s=30)}, at_ns=5)
    assert bool(catalog.policies.earlier(after=0)) == catalog.is_shared
