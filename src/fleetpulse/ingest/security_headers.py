"""Headers of every answer by which a browser is kept from doing more with it than to show it.

They are constants, so that they cost the front door nothing but their bytes.
"""

POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
"""Of answers that are no page: nothing in them runs or is loaded, and no page shows them in a frame."""


def constant_headers(*, hsts_s: int = 0) -> list[tuple[str, str]]:
    """What all answers have in common.

    Args: hsts_s: for how long browsers must ask this host by HTTPS only; 0: they are told nothing.
    """
    headers = [
        ("x-content-type-options", "nosniff"),
        # Not `no-referrer`: with it browsers send `Origin: null` with a form of ours, as if it were anybody's.
        ("referrer-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
    return [*headers, ("strict-transport-security", f"max-age={hsts_s}")] if hsts_s else headers
