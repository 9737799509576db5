"""Short words for Sendmail lines in tests: invented addresses, one host, one second a line."""

from collections.abc import Sequence

QID = "pAO9000A012345"
CHILD = "pAO9001B012346"


def log(*lines: str, host: str = "mx1", start: int = 0) -> bytes:
    """Lines `tag: text` (tag[pid] may be given) as a log; every one a second after the one before."""
    out = []
    for number, line in enumerate(lines, start):
        tag, _, text = line.partition(": ")
        tag = tag if "[" in tag else f"{tag}[100]"
        stamp = f"2026-11-24T{9 + number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000000Z"
        out.append(f"{stamp} {host} {tag}: {text}\n")
    return "".join(out).encode()


def received(
    sender: str = "<s@example.net>",
    relay: str = "c.example.net [192.0.2.1]",
    message_id: str | None = "<m@example.net>",
    count: int = 1,
    queue_id: str = QID,
    tag: str = "sm-mta",
) -> str:
    """The line that takes a message in; without a message-id it is broken off."""
    told = "" if message_id is None else f", msgid={message_id}"
    return f"{tag}: {queue_id}: from={sender}, size=370, class=0, nrcpts={count}{told}, proto=ESMTP, daemon=MTA, relay={relay}"


def delivered(
    recipients: str = "<a@example.com>",
    relay: str = "mx.example.com. [192.0.2.9]",
    dsn: str = "2.0.0",
    stat: str = "Sent (ok)",
    mailer: str = "esmtp",
    queue_id: str = QID,
    tag: str = "sm-mta",
    controlling: str = "",
) -> str:
    """One line of deliveries."""
    return (
        f"{tag}: {queue_id}: to={recipients}{controlling}, delay=00:00:01, xdelay=00:00:01, mailer={mailer}, pri=30000, "
        f"relay={relay}, dsn={dsn}, stat={stat}"
    )


def lines(*given: str | Sequence[str]) -> list[str]:
    """One list of all."""
    return [line for part in given for line in ([part] if isinstance(part, str) else part)]
