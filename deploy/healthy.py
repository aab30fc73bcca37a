"""Whether the service in this container is ready: exit status 0, else 1, with what /readyz says."""

import os
import ssl
import sys
import urllib.error
import urllib.request

TIMEOUT_S = 4
_UNVERIFIED = ssl.create_default_context()
_UNVERIFIED.check_hostname, _UNVERIFIED.verify_mode = False, ssl.CERT_NONE  # it asks only the machine it runs on


def main() -> int:
    """Ask /readyz, over TLS where the service speaks that."""
    port = os.environ.get("FLEETPULSE_PORT", "6733")
    text = ""
    for scheme in ("http", "https"):
        try:
            with urllib.request.urlopen(  # noqa: S310  # both schemes are named here
                f"{scheme}://127.0.0.1:{port}/readyz", timeout=TIMEOUT_S, context=_UNVERIFIED
            ) as answer:
                print(answer.read().decode())
            return 0
        except urllib.error.HTTPError as error:
            text = error.read().decode()
            break
        except OSError as error:
            text = text or str(error)
    print(text)
    return 1


if __name__ == "__main__":
    sys.exit(main())
