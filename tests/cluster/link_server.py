"""The process in which the proxies of a cluster run, so that the load of a test does not slow them down.

A line of JSON on standard input is a call of a proxy, and its answer a line on standard output:

    {"call": "to", "port": 5432}            -> {"port": 40001}
    {"call": "hold", "link": 40001}         -> {}

It ends with its standard input.
"""

import json
import sys
from typing import Any

from tcp_proxy import TcpProxies, TcpProxy


def main() -> None:
    """Do what the lines of standard input say."""
    links: dict[int, TcpProxy] = {}
    with TcpProxies() as proxies:
        for line in sys.stdin:
            order: dict[str, Any] = json.loads(line)
            done: dict[str, int] = {}
            if order["call"] == "to":
                link = proxies.to(order["port"])
                links[link.port] = link
                done = {"port": link.port}
            else:
                getattr(links[order["link"]], order["call"])(*order.get("arguments", ()))
            sys.stdout.write(json.dumps(done) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
