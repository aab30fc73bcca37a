"""deploy/kubernetes/balancer.yaml has the configuration of deploy/haproxy.scale.cfg, with nodes that come and go.

python tests/balancer_manifest.py     writes it anew
"""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIGURATION, MANIFEST = ROOT / "deploy" / "haproxy.scale.cfg", ROOT / "deploy" / "kubernetes" / "balancer.yaml"
NODES = "server-template node 10 nodes.fleetpulse.svc.cluster.local:6733 check"
BY_ADDRESS = "resolve-opts prevent-dup-ip hash-key addr"
BEGINS, INDENT = "  haproxy.cfg: |\n", "    "


def configuration() -> str:
    """What the balancer reads in Kubernetes.

    Nodes are found by the addresses of a headless service, in no certain order, so each place in the ring of the
    consistent hash follows the address (HAProxy 3.0 and later). A template cannot track the checks of another backend,
    so each backend checks by itself.
    """
    text = CONFIGURATION.read_text()
    check = "    option httpchk GET /readyz\n    http-check expect status 200\n"
    assert text.count(check) == 1
    text = text.replace(check, "").replace("    timeout check", f"{check}    timeout check")
    text, count = re.subn(
        r"(?m)^    server node1 .*\n    server node2 .*\n    server node3 .*\n?", f"    {NODES}\n", text
    )
    assert count == text.count("\nbackend ")
    default = re.search(r"(?m)^    default-server .*$", text)
    assert default is not None
    return text.replace(default[0], f"{default[0]} {BY_ADDRESS}").rstrip() + "\n"


def manifest() -> str:
    """The manifest as it should be: what is written by hand, and the configuration."""
    before, _, rest = MANIFEST.read_text().partition(BEGINS)
    _, separator, after = rest.partition("---\n")
    lines = "".join(f"{INDENT}{line}".rstrip() + "\n" for line in configuration().splitlines())
    return before + BEGINS + lines + separator + after


if __name__ == "__main__":
    MANIFEST.write_text(manifest())
