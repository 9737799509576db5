"""Messages that a syslog daemon dropped are a loss that the coverage names."""

import pytest

from tests.unit.producers.carried import read


@pytest.mark.parametrize(
    ("line", "times"),
    [
        ("systemd-journald[310]: Suppressed 2350 messages from /system.slice/postfix.service", 2350),
        ("journal: Suppressed 7 messages from postfix.service", 7),
        ("rsyslogd[99]: imuxsock lost 141 messages from pid 1234 due to rate-limiting", 141),
        ("rsyslogd: imjournal: 3 messages lost due to rate-limiting (20000 allowed within 600 seconds)", 3),
        ("rsyslogd: imuxsock[pid 1234]: 5 messages lost due to rate-limiting (200 allowed within 5 seconds)", 5),
    ],
)
def test_dropped_messages_are_a_loss(line: str, times: int) -> None:
    _, tally = read(f"Sep 12 16:49:12 mx1 {line}\n".encode())
    assert tally.loss_markers == {"rate-limited": times}


def test_other_talk_and_what_others_say_is_none() -> None:
    lines = (
        'rsyslogd: [origin software="rsyslogd"] start',
        "rsyslogd: imjournal: begin to drop messages due to rate-limiting",
        "cron[1]: Suppressed 5 messages from x",
    )
    _, tally = read("".join(f"Sep 12 16:49:12 mx1 {line}\n" for line in lines).encode())
    assert (tally.loss_markers, tally.lines_ignored) == ({}, {"syslog-daemon": 2, "other-program": 1})
