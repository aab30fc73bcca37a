"""How a key looks, for whoever must keep its secret out of what others read: answers, request ids, logs."""

import re

_KEY = re.compile(r"(fp(?:_|%5[fF])[a-z]+(?:_|%5[fF])[0-9a-z]*)(?:_|%5[fF])[0-9A-Za-z]+")


def without_secrets(text: str) -> str:
    """The text, with the secret of each key in it replaced by `…`; the role and the number of a key are no secret."""
    return _KEY.sub(r"\1_…", text) if "fp" in text else text
