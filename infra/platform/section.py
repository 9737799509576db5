"""What every section of the settings is, and the kinds of values that several share."""

from functools import cached_property
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict


def why(error: OSError | UnicodeError) -> str:
    """What kept a file from being read, in words; never its bytes."""
    return error.strerror or "no word why" if isinstance(error, OSError) else "it is not text in UTF-8"


class Section(BaseModel):
    """A group of settings; an unknown name in it is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write one such as Asia/Shanghai") from None
    return name


Zone = Annotated[str, AfterValidator(_known_zone)]
