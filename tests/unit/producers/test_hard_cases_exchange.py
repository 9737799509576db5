"""Hard cases 77 to 79: Exchange's message tracking. The files are built here (`exchange_files`), not those of a server."""

import pytest

from infra.platform.settings import Site, Source
from producers.assemble import Assembler
from schemas.envelope import Envelope
from tests.unit.producers.exchange_files import (
    ALICE,
    BOB,
    CAROL,
    DAVE,
    INSIDE,
    NETWORK_ID,
    SITE,
    SUBJECT,
    TRACKING,
    delivered,
    header,
    passed,
    read,
    received,
    row,
    sent,
)
from tests.unit.producers.lines import NOW, ip, outcomes

DELIVERY_FILES = Source(name="delivery", path=TRACKING.path, mta="exchange")
OUT = "x@example.com"


def one(data: bytes) -> Envelope:
    (record,) = read(data)
    return record


def test_case_77_two_recipients_of_one_receipt_are_two_records() -> None:
    """Sender is the return path, not the header's; the address of where it came from is the original client's."""
    rows = received(f"{ALICE};{BOB}", recipient_status="To;Cc") + delivered(ALICE) + delivered(BOB, 3)
    records = read(header() + rows)
    assert outcomes(records) == {(ALICE, "DELIVERED"): 1, (BOB, "DELIVERED"): 1}
    for record in records:
        assert (record["sender"], record["message_id"]) == ("s@example.net", "<m@example.net>")
        assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("203.0.113.7"), "FORWARDED")
        assert (record["mta"], record["host"], record["queue_id"]) == ("EXCHANGE", "EX1", NETWORK_ID)
        assert (record["size_bytes"], record["recipient_count"]) == (7229, 1)
        assert (record["direction"], record["recipient_ip_origin"]) == ("INBOUND", "LOCAL_DELIVERY")
        assert (record["dsn"], record["smtp_code"], record["flags"]) == (None, None, [])
    assert len({record["message_key"] for record in records}) == 1
    assert len({record["record_id"] for record in records}) == 2


def test_case_77_both_recipients_in_one_delivery_row() -> None:
    assert outcomes(read(header() + received(f"{ALICE};{BOB}") + delivered(f"{ALICE};{BOB}"))) == {
        (ALICE, "DELIVERED"): 1,
        (BOB, "DELIVERED"): 1,
    }


def test_case_77_a_receipt_alone_names_who_is_undecided() -> None:
    records = read(header() + received(f"{ALICE};{BOB}"))
    assert {record["recipient"] for record in records} == {ALICE, BOB}
    assert all(record["outcome"] == "UNKNOWN" and not record["is_final"] for record in records)
    assert all(record["flags"] == ["PARTIAL_END"] for record in records)


def test_case_77_the_null_return_path_is_a_value_and_none_is_not_logged() -> None:
    assert one(header() + received(ALICE, return_path="<>") + delivered(ALICE, return_path="<>"))["sender"] == ""
    assert one(header() + received(ALICE, return_path="") + delivered(ALICE, return_path=""))["sender"] is None


def test_case_77_a_semicolon_in_quotes_separates_nothing() -> None:
    odd = '"a;b"@example.org'
    assert {record["recipient"] for record in read(header() + received(f"{odd};{BOB}"))} == {odd, BOB}


def test_case_77_the_connection_counts_where_there_is_no_other_client() -> None:
    record = one(header() + received(ALICE, original_client_ip="", client_ip="203.0.113.9") + delivered(ALICE))
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("203.0.113.9"), "CONNECTION")
    assert record["sender_host"] == "ex1.example.org"


def test_case_77_the_front_end_s_word_counts_and_a_stranger_s_does_not() -> None:
    custom = "S:FromEntity=Internet;S:ProxiedClientIPAddress=203.0.113.9;S:OriginalFromAddress=a;S:x"
    record = one(header() + received(ALICE, original_client_ip="", custom_data=custom) + delivered(ALICE))
    assert (record["sender_ip"], record["sender_ip_origin"]) == (ip("203.0.113.9"), "FORWARDED")
    custom = 'S:OriginalFromAddress="a;S:ProxiedClientIPAddress=6.6.6.6"@example.net'
    record = one(header() + received(ALICE, original_client_ip="", custom_data=custom) + delivered(ALICE))
    assert record["sender_ip"] == ip("192.0.2.14")


def test_case_78_all_rows_of_an_ordinary_mail_are_one_record() -> None:
    """Shadow copies, agents, the hop to the mailbox delivery, its delivery, and Safety Net's copy of it later."""
    rows = (
        row("HAREDIRECTFAIL", "SMTP", ALICE, 0, source_context="No suitable shadow servers")
        + received(ALICE, 1)
        + row("HARECEIVE", "SMTP", ALICE, 1)
        + row("AGENTINFO", "AGENT", ALICE, 2)
        + row("HAREDIRECT", "SMTP", ALICE, 2)
        + delivered(ALICE, 3)
        + passed(ALICE, 4)
        + row("HADISCARD", "SMTP", "", 5)
        + row("RESUBMIT", "SAFETYNET", ALICE, 60)
        + row("RECEIVE", "SAFETYNET", ALICE, 60)
        + row("DUPLICATEDELIVER", "STOREDRIVER", ALICE, 61)
        + delivered(ALICE, 62)
    )
    record = one(header() + rows)
    assert (record["outcome"], record["sender_ip"]) == ("DELIVERED", ip("203.0.113.7"))
    assert record["accept_time"] is not None
    assert record["event_time"] - record["accept_time"] == 2_000_000


def test_case_78_a_mail_from_a_mailbox_here_to_another() -> None:
    """The example of Microsoft's page: nine rows. The submission knows best where the mail came from."""
    common = {"directionality": "Originating", "return_path": BOB}
    rows = (
        row("NOTIFYMAPI", "STOREDRIVER", "", 0, network_message_id="", internal_message_id="")
        + row("RECEIVE", "STOREDRIVER", ALICE, 1, client_ip="192.0.2.14", server_hostname="EX1", **common)
        + row("SUBMIT", "STOREDRIVER", ALICE, 1, **common)
        + row("HAREDIRECT", "SMTP", ALICE, 2, **common)
        + received(ALICE, 2, original_client_ip="", **common)
        + row("AGENTINFO", "AGENT", ALICE, 3, **common)
        + passed(ALICE, 4, **common)
        + delivered(ALICE, 4, **common)
    )
    record = one(header() + rows)
    assert (record["outcome"], record["direction"], record["sender"]) == ("DELIVERED", "INTERNAL", BOB)
    assert (record["sender_ip"], record["sender_ip_origin"]) == (None, "NOT_LOGGED")


def test_case_78_transport_and_mailbox_delivery_are_two_streams_of_one_mail() -> None:
    for first in ("mail", "delivery"):
        assembler = Assembler(SITE, [TRACKING, DELIVERY_FILES])
        chunks = {
            "mail": header() + received(ALICE) + passed(ALICE, 3),
            "delivery": header() + delivered(ALICE, 2),
        }
        records = assembler.read(first, chunks.pop(first), 0, NOW, NOW)
        ((other, data),) = chunks.items()
        records += assembler.read(other, data, 0, NOW, NOW) + assembler.tick(NOW)
        assert [(record["outcome"], record["sender_ip"]) for record in records] == [("DELIVERED", ip("203.0.113.7"))]


def test_case_78_what_another_server_delivers_was_sent_to_it() -> None:
    record = one(header() + received(ALICE) + passed(ALICE, 2, server_ip="192.0.2.77", server_hostname="EX2"))
    assert (record["outcome"], record["recipient_ip"], record["recipient_host"]) == ("SENT", ip("192.0.2.77"), "EX2")
    assert (record["server_ip"], record["dsn"], record["smtp_code"]) == (ip("192.0.2.14"), "2.1.5", 250)


def test_case_78_an_edge_server_and_the_one_behind_it_in_one_stream() -> None:
    """Read together, what the edge passed on and the other delivered is one mail, from where the edge got it."""
    edge = {"server_hostname": "EDGE1", "original_client_ip": "", "client_ip": "203.0.113.7"}
    behind = {"server_hostname": "EX1", "original_client_ip": "", "client_ip": "192.0.2.11"}
    rows = received(ALICE, 0, **edge)
    rows += sent(ALICE, 1, client_hostname="EDGE1", connector_id="EdgeSync - Inbound to Default-First-Site-Name")
    rows += received(ALICE, 2, **behind) + delivered(ALICE, 3)
    record = one(header() + rows)
    assert (record["outcome"], record["sender_ip"], record["host"]) == ("DELIVERED", ip("203.0.113.7"), "EX1")


def test_case_78_a_delivery_whose_receipt_is_elsewhere_does_not_wait_for_ever() -> None:
    assembler = Assembler(SITE, [TRACKING])
    assert assembler.read("mail", header() + delivered(ALICE), 0, NOW, NOW) == []
    assert assembler.take_tallies()["mail"].captured_through < NOW
    (record,) = assembler.tick(NOW)
    assert (record["outcome"], record["sender"]) == ("DELIVERED", "s@example.net")
    assert (record["sender_ip"], record["sender_ip_origin"]) == (None, "NOT_LOGGED")


def test_case_79_commas_quotes_and_line_ends_stay_inside_their_value() -> None:
    """A subject that is a row: nothing of it is read, and every line is counted."""
    false = delivered(CAROL).decode().strip()
    subject = f'x", y\r\n{false}\r\n#Software: Microsoft Exchange Server\r\n{false}'
    data = header() + received(ALICE, message_subject=subject) + delivered(ALICE, message_subject=subject)
    assembler = Assembler(SITE, [TRACKING])
    (record,) = assembler.read("mail", data, 0, NOW, NOW) + assembler.finish()
    assert (record["recipient"], record["outcome"]) == (ALICE, "DELIVERED")
    tally = assembler.take_tallies()["mail"]
    assert (tally.lines_read, tally.lines_understood) == (data.count(b"\n"), data.count(b"\n") - 5)
    assert tally.lines_not_understood == {}


@pytest.mark.parametrize("columns", [26, 27, 30])
@pytest.mark.parametrize("fields", [True, False])
def test_case_79_columns_by_header_or_by_their_number(columns: int, fields: bool) -> None:
    data = header(columns, fields=fields) + received(ALICE, 0, columns) + delivered(ALICE, 2, columns)
    record = one(data)
    assert (record["outcome"], record["sender_ip"]) == ("DELIVERED", ip("203.0.113.7"))
    assert record["queue_id"] == ("70971234566456" if columns == 26 else NETWORK_ID)


def test_case_79_columns_in_another_order() -> None:
    names = "date-time,event-id,source,recipient-address,return-path,internal-message-id"
    rows = f"2026-11-24T09:00:00.000Z,DELIVER,STOREDRIVER,{ALICE},s@example.net,17\r\n"
    record = one(f"#Fields: {names}\r\n{rows}".encode())
    assert (record["recipient"], record["sender"], record["queue_id"]) == (ALICE, "s@example.net", "17")


def test_case_79_a_byte_order_mark_and_auto_detection() -> None:
    data = b"\xef\xbb\xbf" + header() + received(ALICE) + delivered(ALICE)
    for mta in ("auto", "exchange"):
        assembler = Assembler(SITE, [Source(name="mail", path=TRACKING.path, mta=mta)])
        (record,) = assembler.read("mail", data, 0, NOW, NOW) + assembler.finish()
        assert record["outcome"] == "DELIVERED"
        assert assembler.take_tallies()["mail"].lines_not_understood == {}


def test_case_79_rotation_ends_a_row_that_was_cut() -> None:
    cut = received(ALICE, message_subject="a\r\nb").partition(b"a\r\n")[0] + b"a\r\n"
    assembler = Assembler(SITE, [TRACKING])
    records = assembler.read("mail", header() + cut, 0, NOW, NOW)
    records += assembler.read("mail", received(BOB) + delivered(BOB), 0, NOW, NOW) + assembler.finish()
    assert outcomes(records) == {(BOB, "DELIVERED"): 1}
    assert assembler.take_tallies()["mail"].lines_not_understood == {"exchange-row-cut": 1}


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_case_79_chunks_and_restarts_change_nothing(size: int) -> None:
    """Chunks are whole lines; a row may be several."""
    subject = 'two\r\nlines, and "quotes"'
    rows = [received(f"{ALICE};{BOB};{OUT}", message_subject=subject), row("DEFER", "SMTP", OUT, 1)]
    rows += [delivered(ALICE, 2, message_subject=subject), passed(BOB, 2), delivered(BOB, 3), sent(OUT, 30)]
    data = header() + b"".join(rows)
    whole = read(data)
    assert outcomes(whole) == {(ALICE, "DELIVERED"): 1, (BOB, "DELIVERED"): 1, (OUT, "SENT"): 1}
    lines = data.splitlines(keepends=True)
    assembler, got, offset = Assembler(SITE, [TRACKING]), [], 0
    for start in range(0, len(lines), size):
        chunk = b"".join(lines[start : start + size])
        got += assembler.read("mail", chunk, offset, NOW, NOW)
        offset += len(chunk)
        assembler = Assembler.restore(assembler.snapshot(), SITE, [TRACKING])
    assert got + assembler.finish() == whole


def test_sent_to_the_world() -> None:
    data = header() + received(f"{OUT};y@example.com", directionality="Originating") + sent(f"{OUT};y@example.com", 5)
    records = read(data)
    assert outcomes(records) == {(OUT, "SENT"): 1, ("y@example.com", "SENT"): 1}
    for record in records:
        assert (record["recipient_ip"], record["recipient_host"]) == (ip("198.51.100.25"), "mx.example.com")
        assert (record["recipient_ip_origin"], record["next_queue_id"]) == ("NEXT_HOP", "5450313518243")
        assert (record["dsn"], record["smtp_code"], record["direction"]) == ("2.1.5", 250, "OUTBOUND")


def test_a_group_a_second_name_and_another_mailbox() -> None:
    """Members carry the name that the sender wrote; the group itself is no recipient any more."""
    group, other = "all@example.org", "alice.a@example.org"
    rows = (
        received(f"{group};{other};{CAROL}")
        + row("EXPAND", "ROUTING", BOB, 1, related_recipient_address=group)
        + row("RESOLVE", "ROUTING", ALICE, 1, related_recipient_address=other)
        + row("REDIRECT", "ROUTING", DAVE, 1, related_recipient_address=CAROL)
        + delivered(f"{ALICE};{BOB};{DAVE}", 2)
    )
    records = read(header() + rows)
    assert {(record["recipient"], record["original_recipient"]) for record in records} == {
        (ALICE, other),
        (BOB, group),
        (DAVE, CAROL),
    }
    assert all(record["outcome"] == "DELIVERED" for record in records)


@pytest.mark.parametrize(
    ("event", "source", "status", "outcome", "dsn", "flags"),
    [
        ("FAIL", "SMTP", "550 5.1.1 <x@example.com> User unknown; status=sent", "BOUNCED", "5.1.1", []),
        ("FAIL", "ROUTING", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; not found", "BOUNCED", "5.1.10", []),
        ("FAIL", "QUEUE", "550 4.4.7 QUEUE.Expired; message expired", "EXPIRED", "4.4.7", []),
        ("FAIL", "ADMIN", "", "DELETED", None, ["ADMINISTRATIVE"]),
        ("DROP", "AGENT", "", "DISCARDED", None, []),
        ("BADMAIL", "PICKUP", "", "DISCARDED", None, []),
    ],
)
def test_ends_that_are_none(
    event: str, source: str, status: str, outcome: str, dsn: str | None, flags: list[str]
) -> None:
    record = one(header() + received(OUT) + row(event, source, OUT, 3, recipient_status=status))
    assert (record["outcome"], record["dsn"], record["flags"]) == (outcome, dsn, flags)
    assert "User unknown" not in repr(record)


def test_a_deferral_is_reported_once_and_then_its_end() -> None:
    rows = [row("DEFER", "SMTP", OUT, second, recipient_status="451 4.7.1 Later") for second in (60, 120)]
    data = header() + received(OUT) + b"".join(rows)
    data += row("AGENTINFO", "AGENT", OUT, 0, date_time="2026-11-24T11:00:00.000Z")
    data += sent(OUT, date_time="2026-11-24T11:00:01.000Z")
    first, last = read(data)
    assert (first["outcome"], first["is_final"], first["dsn"]) == ("DEFERRED", False, "4.7.1")
    assert (last["outcome"], last["is_final"], last["attempts"]) == ("SENT", True, 3)


def test_a_notice_is_made_here() -> None:
    data = header() + row("DSN", "DSN", BOB, 1, return_path="<>", server_hostname="EX1")
    record = one(data + delivered(BOB, 2, return_path="<>"))
    assert (record["kind"], record["sender"], record["sender_ip_origin"]) == ("BOUNCE", "", "LOCAL_PROCESS")


def test_a_fork_of_2010_goes_on_with_the_client() -> None:
    """Without a network message id the copy has an internal id of its own, and names the one it was made from."""
    rows = received(f"{ALICE};{BOB}", 0, 26)
    rows += row(
        "TRANSFER", "ROUTING", BOB, 1, 26, internal_message_id="18", reference="70971234566456", server_hostname="EX1"
    )
    rows += delivered(ALICE, 2, 26) + delivered(BOB, 2, 26, internal_message_id="18")
    records = read(header(26) + rows)
    assert outcomes(records) == {(ALICE, "DELIVERED"): 1, (BOB, "DELIVERED"): 1}
    assert {record["sender_ip"] for record in records} == {ip("203.0.113.7")}
    assert {record["queue_id"] for record in records} == {"70971234566456", "18"}


def test_internal_ids_of_two_servers_are_two_messages() -> None:
    rows = received(ALICE, 0, 26) + received(BOB, 0, 26, server_hostname="EX2")
    rows += delivered(ALICE, 1, 26) + delivered(BOB, 1, 26, client_hostname="EX2")
    assert len({record["message_key"] for record in read(header(26) + rows)}) == 2


PROBE = "HealthMailbox" + "0123456789abcdef" * 2 + "@example.org"


def test_probes_of_exchange_are_ignored_and_a_stranger_s_are_not() -> None:
    own = received(PROBE, return_path=PROBE, directionality="Originating")
    assert read(header() + own) == []
    assert len(read(header() + received(PROBE, return_path=PROBE))) == 1
    assert len(read(header() + received(f"{PROBE};{ALICE}", return_path=PROBE, directionality="Originating"))) == 2


def test_no_subject_and_no_header_address_is_in_any_record() -> None:
    everything = repr(read(header() + received(f"{ALICE};{OUT}") + delivered(ALICE) + sent(OUT)))
    assert ALICE in everything
    for text in (SUBJECT, "header@example.net", "Recipient OK", INSIDE):
        assert text not in everything


def test_a_host_that_was_set_is_taken() -> None:
    (record,) = read(header() + received(ALICE) + delivered(ALICE), Site(host="mail1"))
    assert record["host"] == "mail1"
