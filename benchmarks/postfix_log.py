"""A Postfix log of any length, made up: one client, message-id, queue and removal line a message, one to three
deliveries, now and then a deferral, a refusal, a disconnect. The same seed gives the same bytes."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SEED: Final = 38
_LETTERS: Final = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"


ORDINARY: Final = (1, 1, 1, 1, 2, 3)  # recipients: 0.21 records a line
LISTS: Final = (1, 2, 3, 4, 6)  # 0.35 records a line


def write(path: Path, messages: int, *, recipients: Sequence[int] = ORDINARY, talk: int = 0, year: int = 0) -> int:
    """Write a log; the number of its lines.

    `talk` = lines without facts more for each message; with a `year` the stamps are of RFC 3339, to the microsecond.
    """
    chance = random.Random(SEED)
    lines = 0
    with path.open("w", encoding="ascii") as out:
        for number in range(messages):
            made = _message(chance, number, recipients)
            made[1:1] = [made[0].replace(": connect", ": warning: hostname does not resolve, connect")] * talk
            if year:
                made = [_rfc3339(line, year, 1000 * at + number % 50 * 20_000) for at, line in enumerate(made)]
            out.writelines(made)
            lines += len(made)
    return lines


def _rfc3339(line: str, year: int, microsecond: int) -> str:
    return f"{year}-11-{int(line[4:6]):02d}T{line[7:15]}.{microsecond:06d}+00:00{line[15:]}"


def _message(chance: random.Random, number: int, recipients: Sequence[int]) -> list[str]:
    second = number // 50
    day, hour, minute = 1 + second // 86_400 % 28, second // 3600 % 24, second // 60 % 60
    head = f"Nov {day:2d} {hour:02d}:{minute:02d}:{second % 60:02d} mx1 postfix"
    pid, queue_id = chance.randrange(1000, 9000), "".join(chance.choices(_LETTERS, k=15))
    client = f"host{number % 977}.example.net[198.51.{number % 256}.{chance.randrange(256)}]"
    user = f"user{int(chance.paretovariate(0.7)) % 100_000}"
    count = chance.choice(recipients)
    lines = [
        f"{head}/smtpd[{pid}]: connect from {client}\n",
        f"{head}/smtpd[{pid}]: {queue_id}: client={client}\n",
        f"{head}/cleanup[{pid + 1}]: {queue_id}: message-id=<{number}.{chance.getrandbits(60):x}@example.net>\n",
        f"{head}/qmgr[77]: {queue_id}: from=<{user}@example.net>, size={chance.randrange(900, 90_000)}, nrcpt={count} "
        "(queue active)\n",
        f"{head}/smtpd[{pid}]: disconnect from {client} ehlo=1 mail=1 rcpt={count} data=1 quit=1 commands=5\n",
    ]
    for at in range(count):
        to = f"{head}/smtp[{pid + 2 + at}]: {queue_id}: to=<box{chance.randrange(200_000)}@example.org>, "
        relay = f"relay=mx.example.org[203.0.113.{chance.randrange(1, 250)}]:25, delay=0.9, delays=0.1/0/0.3/0.5"
        if chance.random() < 0.05:
            lines.append(f"{to}{relay}, dsn=4.2.0, status=deferred (host said: 450 4.2.0 later)\n")
        lines.append(f"{to}{relay}, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as {chance.getrandbits(40):010X})\n")
    lines.append(f"{head}/qmgr[77]: {queue_id}: removed\n")
    if chance.random() < 0.1:
        lines.append(
            f"{head}/smtpd[{pid}]: NOQUEUE: reject: RCPT from {client}: 550 5.1.1 <no@example.org>: Recipient address "
            "rejected: User unknown; from=<x@example.net> to=<no@example.org> proto=ESMTP helo=<h>\n"
        )
    return lines
