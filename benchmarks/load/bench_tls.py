"""What a new TLS connection for each heartbeat costs the server, beside a new plain one, and one that is kept.

Paper estimate: a handshake with P-256 is one signature and one key agreement, some 0.2 ms in OpenSSL; the certificate,
the buffers and the protocol in Python about as much again. The client shares the machine, so CPU of the server counts.
"""

import http.client
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

from harness import ROOT, fleetpulse, record

sys.path.insert(0, str(ROOT / "tests"))
from authority import Authority

ROUNDS, HEARTBEATS = 3, 1_000
BODY = b'{"sent_at": "2026-11-24T08:30:00Z"}'
JSON = {"Content-Type": "application/json"}


def send(connection: http.client.HTTPConnection) -> None:
    """Send one heartbeat."""
    connection.request("POST", "/api/v1/devices/dev-1/heartbeat", BODY, JSON)
    response = connection.getresponse()
    response.read()
    assert response.status == 204, response.status


def main() -> None:
    """Measure, and record."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        devices = folder / "devices.csv"
        devices.write_text("device_id\ndev-1\n")
        authority = Authority(folder)
        certificate = authority.issue("server", common_name="server", ip="127.0.0.1")
        context = ssl.create_default_context(cafile=authority.path)
        tls = ["--tls-certificate", str(certificate), "--tls-key", str(certificate.with_suffix(".key"))]
        figures: dict[str, float] = {}
        for kind, flags in (("plain", []), ("tls", tls)):
            (folder / kind).mkdir()
            with fleetpulse(folder / kind, *flags, "--device-per-s", "0", devices=devices) as server:

                def connect(kind: str = kind, port: int = server.port) -> http.client.HTTPConnection:
                    if kind == "plain":
                        return http.client.HTTPConnection("127.0.0.1", port)
                    return http.client.HTTPSConnection("127.0.0.1", port, context=context)

                for is_kept in (False, True):
                    costs, delays_ms = [], []
                    for _ in range(ROUNDS):
                        before_us, kept = server.cpu_us(), connect()
                        for _ in range(HEARTBEATS):
                            began_s = time.perf_counter()
                            connection = kept if is_kept else connect()
                            send(connection)
                            delays_ms.append(1e3 * (time.perf_counter() - began_s))
                            if not is_kept:
                                connection.close()
                        kept.close()
                        costs.append((server.cpu_us() - before_us) / HEARTBEATS)
                    place = f"{kind}, {'one connection' if is_kept else 'a new connection each'}"
                    figures[f"{place}: CPU of the server, us a heartbeat"] = round(statistics.median(costs), 1)
                    figures[f"{place}: p50, ms"] = round(statistics.median(delays_ms), 3)
        record("tls", figures, {})


if __name__ == "__main__":
    main()
