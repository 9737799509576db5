"""What a long-running reader of logs asks of the interpreter."""

import gc
from typing import Final

_YOUNG_OBJECTS: Final = 50_000


def settle() -> None:
    """Called once, after the imports: their objects are never looked at again when rubbish is collected.

    Reading makes many objects and no cycles among them, so collections are also made rarer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
