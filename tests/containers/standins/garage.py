#!/opt/standins/bin/python
"""In the place of Garage: moto's S3 server, with the bucket and the key that Garage is given. Nothing outlives it.

It refuses what Garage would refuse, too: other words than those of compose.scale.yaml, and a configuration without what
the deployment relies on.
"""

import os
import sys
import threading
import tomllib
import urllib.request
from pathlib import Path


def main() -> None:
    """`/garage status`, or `/garage server --single-node --default-bucket`."""
    configuration = tomllib.loads(Path("/etc/garage.toml").read_text())
    address, _, port = configuration["s3_api"]["api_bind_addr"].rpartition(":")
    if sys.argv[1:] == ["status"]:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=3).close()
        return
    assert sys.argv[1:] == ["server", "--single-node", "--default-bucket"], sys.argv
    assert configuration["data_fsync"] is configuration["metadata_fsync"] is True
    assert len(bytes.fromhex(os.environ["GARAGE_RPC_SECRET"])) == 32
    key_id, key = os.environ["GARAGE_DEFAULT_ACCESS_KEY"], os.environ["GARAGE_DEFAULT_SECRET_KEY"]
    assert key_id.startswith("GK") and len(bytes.fromhex(key_id[2:])) == 12 and len(bytes.fromhex(key)) == 32
    for folder in (configuration["metadata_dir"], configuration["data_dir"]):
        (Path(folder) / "written").touch()
    import boto3  # not where only its health is asked for, which must be quick
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address=address, port=int(port), verbose=False)
    server.start()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=key_id,
        aws_secret_access_key=key,
    )
    client.create_bucket(Bucket=os.environ["GARAGE_DEFAULT_BUCKET"])
    threading.Event().wait()


if __name__ == "__main__":
    main()
