"""Short words for OpenSMTPD's lines in tests: invented addresses, one host, one second a line."""

from producers.assemble import Assembler
from producers.lines import Tally
from schemas.envelope import Envelope
from tests.unit.producers.lines import NOW, SOURCE, Site

SESSION = "548708637aa30dbc"
HOP = "548708672770dba5"
MSGID = "cacb5591"
EVPID = MSGID + "860a495b"
CLIENT = f"{SESSION} smtp connected address=192.0.2.1 host=c.example.net"
CLOSED = f"{SESSION} smtp disconnected reason=quit"


def smtpd(*lines: str) -> bytes:
    """Lines as a log, every one a second after the one before."""
    return "".join(
        f"2026-11-24T09:{number // 60:02d}:{number % 60:02d}.000000Z mx2 smtpd[{7}]: {line}\n"
        for number, line in enumerate(lines)
    ).encode()


def message(*recipients: str, sender: str = "s@example.net", size: int = 552) -> list[str]:
    """A session that hands in one message (6.4 and later); envelopes are numbered from EVPID."""
    head = f"{SESSION} smtp message msgid={MSGID} size={size} nrcpt={len(recipients)} proto=ESMTP"
    envelopes = [
        f"{SESSION} smtp envelope evpid={evpid(number)} from=<{sender}> to=<{recipient}>"
        for number, recipient in enumerate(recipients)
    ]
    return [CLIENT, head, *envelopes, CLOSED]


def evpid(number: int) -> str:
    """The id of an envelope of the message."""
    return f"{int(EVPID, 16) + number:016x}"


def relayed(
    recipient: str,
    number: int = 0,
    *,
    sender: str = "s@example.net",
    rcpt: str = "-",
    relay: str = "192.0.2.9 (mx.example.com)",
    result: str = "Ok",
    stat: str = "250 2.0.0 Ok: queued as 3F2A1C0D4E",
) -> str:
    """An attempt at a next hop (6.4 and later)."""
    return (
        f"{HOP} mta delivery evpid={evpid(number)} from=<{sender}> to=<{recipient}> rcpt=<{rcpt}> "
        f'source="192.0.2.2" relay="{relay}" delay=1s result="{result}" stat="{stat}"'
    )


def stored(
    recipient: str, number: int = 0, *, rcpt: str | None = None, result: str = "Ok", stat: str = "Delivered"
) -> str:
    """An attempt at a mailbox (6.4 and later)."""
    return (
        f"18feeec6fa62dc71 mda delivery evpid={evpid(number)} from=<s@example.net> to=<{recipient}> "
        f"rcpt=<{rcpt or recipient}> user=u delay=0s result={result} stat={stat}"
    )


def read(data: bytes, site: Site | None = None) -> tuple[list[Envelope], Tally]:
    """All records of a log, and what became of its lines."""
    assembler = Assembler(site or Site(), [SOURCE])
    records = assembler.read("mail", data, 0, NOW, NOW) + assembler.finish()
    return records, assembler.take_tallies()["mail"]


def records_of(*lines: str, site: Site | None = None) -> list[Envelope]:
    """The records of lines that are all understood or ignored by rule."""
    records, tally = read(smtpd(*lines), site)
    assert tally.lines_not_understood == {}
    return records


def one(*lines: str, site: Site | None = None) -> Envelope:
    """The only record of them."""
    (record,) = records_of(*lines, site=site)
    return record
