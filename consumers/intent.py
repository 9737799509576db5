"""What a loader is about to insert, kept in Kafka's commit metadata before it does.

A commit at offset `first` with this metadata says: the batch [first, last] of `count` messages was decided, and what
stands before `after` is loaded. A loader that is assigned the partition repeats exactly this batch, so the store's
deduplication token is the same and the rows come once, however often it is repeated. JSON, at most METADATA_BYTES_MAX
(Kafka's default limit).
"""

import json
from dataclasses import dataclass, field
from typing import Final

METADATA_BYTES_MAX: Final = 4096
REFUSED_MAX: Final = 256
LAYOUT: Final = 1  # version of what the splice writes; part of the token

_REASONS: Final = ("PAYLOAD_TOO_SHORT", "PAYLOAD_TOO_LONG", "PAYLOAD_NOT_DECODABLE", "REFUSED_BY_STORE")


@dataclass(frozen=True, slots=True)
class Intent:
    """A decided batch. `refused` = offsets that the store would not take, with the reason; the other exclusions follow
    from the bytes and `decided_at`."""

    topic_epoch: bytes
    after: int
    first: int
    last: int
    count: int
    count_per_schema_id: dict[int, int]
    decided_at: int
    layout: int = LAYOUT
    refused: dict[int, str] = field(default_factory=dict)

    def to_metadata(self) -> str:
        """The commit metadata. ValueError when it would be too long: the batch must be closed earlier."""
        relative = [[offset - self.first, _REASONS.index(reason)] for offset, reason in sorted(self.refused.items())]
        text = json.dumps(
            {
                "v": 1,
                "epoch": self.topic_epoch.hex(),
                "after": self.after,
                "first": self.first,
                "last": self.last,
                "count": self.count,
                "schema": {str(key): count for key, count in self.count_per_schema_id.items()},
                "layout": self.layout,
                "decided_at": self.decided_at,
                "refused": relative,
            },
            separators=(",", ":"),
        )
        if len(text) > METADATA_BYTES_MAX:
            raise ValueError(f"an intent of {len(text)} bytes does not fit in {METADATA_BYTES_MAX}")
        return text


def from_metadata(text: str | None) -> Intent | None:
    """The intent of a commit; None when the commit has none. ValueError when it is not one that this version knows."""
    if not text:
        return None
    try:
        values = json.loads(text)
        if values["v"] != 1 or values["layout"] != LAYOUT:
            raise ValueError(f"version {values['v']}, layout {values['layout']}")
        numbers = [values[name] for name in ("after", "first", "last", "count", "decided_at")]
        reasons = [reason for _, reason in values["refused"]]
        if not all(type(number) is int for number in (*numbers, *reasons)) or any(reason < 0 for reason in reasons):
            raise ValueError("a value that is no number")
        first = values["first"]
        return Intent(
            topic_epoch=bytes.fromhex(values["epoch"]),
            after=values["after"],
            first=first,
            last=values["last"],
            count=values["count"],
            count_per_schema_id={int(key): count for key, count in values["schema"].items()},
            decided_at=values["decided_at"],
            layout=values["layout"],
            refused={first + offset: _REASONS[reason] for offset, reason in values["refused"]},
        )
    except (KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"not an intent ({type(error).__name__})") from None
