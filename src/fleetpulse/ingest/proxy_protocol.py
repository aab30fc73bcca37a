"""Version 2 of the PROXY protocol: what a proxy that passes bytes on says first of whose bytes these are.

    12 bytes        0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A
     1 byte         version (2) and command: 20 the proxy asks for itself, 21 it passes a connection on
     1 byte         family: 11 TCP over IPv4, 21 TCP over IPv6; any other one says nothing of an address
     2 bytes        how many follow, in network order
    addresses       source and destination, 4 or 16 bytes each, then their ports; further fields, which are not read

Source: haproxy.org, doc/proxy-protocol.txt.
"""

import ipaddress

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HEAD_BYTES = 16
REST_BYTES_MAX = 2_048
"""Bytes that may follow the head: the addresses take 36, the further fields of common proxies some hundred."""
_OF_ITSELF, _PASSED_ON = 0x20, 0x21
_ADDRESS_BYTES = {0x11: 4, 0x21: 16}


def rest_bytes(head: bytes) -> int:
    """How many bytes follow a head. Raises: ValueError: it is none."""
    if len(head) != HEAD_BYTES or not head.startswith(SIGNATURE) or head[12] not in (_OF_ITSELF, _PASSED_ON):
        raise ValueError("the connection does not begin with a header of the PROXY protocol, version 2")
    count = int.from_bytes(head[14:])
    if count > REST_BYTES_MAX:
        raise ValueError(f"the header of the PROXY protocol is longer than {REST_BYTES_MAX} bytes")
    return count


def source_address(header: bytes) -> str:
    """Whose connection the proxy passes on, from a head and its rest; "": its own, or it does not say.

    Raises: ValueError: the addresses are cut.
    """
    size = _ADDRESS_BYTES.get(header[13], 0)
    if header[12] == _OF_ITSELF or not size:
        return ""
    if len(header) < HEAD_BYTES + 2 * size + 4:
        raise ValueError("the addresses in the header of the PROXY protocol are cut")
    ip = ipaddress.ip_address(header[HEAD_BYTES : HEAD_BYTES + size])
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return str(mapped or ip)
