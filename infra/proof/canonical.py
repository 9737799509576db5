"""One value, one sequence of bytes: JSON by RFC 8785, restricted to what has no second reading.

Objects with text keys, arrays, text, whole numbers of at most 53 bits, true, false and null. No fractions: two
languages do not print them alike. Keys are ordered by their UTF-16 code units, as RFC 8785 says.
"""

import json
from typing import Any, Final

from infra.proof.errors import CanonicalError

INTEGER_MAX: Final = 2**53 - 1
DEPTH_MAX: Final = 32
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def encode(value: Any) -> bytes:
    """The canonical bytes. CanonicalError for a value that has none."""
    try:
        ordered = _ordered(value, DEPTH_MAX)
        return _ENCODER.encode(ordered).encode("utf-8")
    except UnicodeEncodeError:
        raise CanonicalError("a text holds half of a surrogate pair") from None


def decode(data: bytes) -> Any:
    """The value of canonical bytes. CanonicalError unless `data` is exactly what `encode` makes of it."""
    try:
        value = json.loads(data.decode("utf-8"), parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError):
        raise CanonicalError("not JSON") from None
    if encode(value) != data:  # also finds a key given twice: the last one stands alone in `value`
        raise CanonicalError("JSON, but not in canonical form")
    return value


def _ordered(value: Any, depth: int) -> Any:
    """The same value, its objects in order; checked on the way."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if not -INTEGER_MAX <= value <= INTEGER_MAX:
            raise CanonicalError("a number has more than 53 bits")
        return value
    if depth == 0:
        raise CanonicalError(f"more than {DEPTH_MAX} levels")
    if isinstance(value, (list, tuple)):
        return [_ordered(item, depth - 1) for item in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise CanonicalError("a key is not a text")
        # Below U+D800 the order of code points, Python's own, is that of code units.
        keys = sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_units)
        return {key: _ordered(value[key], depth - 1) for key in keys}
    raise CanonicalError(f"a {type(value).__name__} has no canonical form")


def _units(key: str) -> bytes:
    """What keys are ordered by: UTF-16 code units, which is not the order of code points beyond U+FFFF."""
    return key.encode("utf-16-be")


def _no_float(_text: str) -> Any:
    raise ValueError("a number with a fraction or an exponent")
