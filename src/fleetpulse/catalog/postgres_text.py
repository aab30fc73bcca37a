"""How statements of the catalog, which are written once for all engines, are said to PostgreSQL."""

import re
from functools import lru_cache
from itertools import count

_PARAMETER = re.compile(r"\?(\d*)")
_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000000000 AS BIGINT)"
_LIST = re.compile(r"json_each\((\$\d+)\)")


@lru_cache(maxsize=1_024)
def postgres_text(query: str) -> str:
    """The same statement with the parameters and the lists of PostgreSQL. No text of ours has a question mark in it."""
    numbers = count(1)
    numbered = _PARAMETER.sub(lambda found: f"${found[1] or next(numbers)}", query)
    numbered = numbered.replace("now_ns()", _NOW)
    return _LIST.sub(r"json_array_elements_text(CAST(\1 AS json)) AS listed(value)", numbered)
