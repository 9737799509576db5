"""The demo's desk: an instrument is entered and signed by two people, a question inside its scope is answered, one
outside of it is refused. What people would type stands in each line; docs/officer.md tells the same in words.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from infra.demo.programs import Programs
from infra.platform.settings import Legal

AGENCY: Final = "agencies/gongan"
DOCUMENT_NUMBER: Final = "杭公(网)调证字[2026]1号"
INSIDE: Final = "alice@example.org"
OUTSIDE: Final = "bob@example.org"
_WINDOW: Final = timedelta(hours=1)
_IN_FORCE: Final = timedelta(days=25)


class Answer(NamedTuple):
    """What the officer got."""

    lookup: str
    records: list[dict[str, Any]]  # JSON form of schemas/envelope.py
    refused: str  # the reason of the question outside


def answer(programs: Programs) -> Answer:
    """From the agency's enrolment to both answers. LocalEngineError when a step does not go as it must."""
    certs = programs.certs
    programs.start_server()
    programs.run_as("li", "agency", "create", "--file", str(certs / "agency.json"))
    programs.run_as("wang", "agency", "approve", AGENCY)
    now = datetime.now(UTC)
    paper, scan = certs.parent / "paper.json", certs.parent / "notice.pdf"
    paper.write_text(json.dumps(_paper(now), ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    scan.write_bytes(b"%PDF-1.4\n% a scan of the notice, in a demo\n")
    authorization = _name(
        programs.run_as("zhang", "authorization", "create", "--file", str(paper), "--document", str(scan), "--json")
    )
    for person in ("wang", "zhao"):
        programs.run_as(person, "authorization", "approve", authorization)
    question = ["--authorization", authorization, "--begin", _text(now - _WINDOW), "--end", _text(now)]
    lookup = _name(programs.run_as("zhang", "lookup", "create", *question, "--address", INSIDE, "--json"))
    records = programs.run_as("zhang", "lookup", "records", lookup, "--json").splitlines()
    refused = programs.refused_as("zhang", "lookup", "create", *question, "--address", OUTSIDE)
    return Answer(lookup, [json.loads(line) for line in records], refused)


def _paper(now: datetime) -> dict[str, Any]:
    """The fields of a 调取证据通知书."""
    return {
        "legal_type": "EVIDENCE_RETRIEVAL_NOTICE",
        "timespan": {"start_time": _text(now), "end_time": _text(now + _IN_FORCE)},
        "instrument": {
            "document_number": DOCUMENT_NUMBER,
            "case_name": "某某案",
            "case_number": "A3301000000002026110001",
            "unit": "杭州市公安局网安支队",
            "approver": {"display_name": "陈某", "role": "支队长"},
            "handlers": [
                {"display_name": "张某", "identity": "330001"},
                {"display_name": "李某", "identity": "330002"},
            ],
            "issuer": {"display_name": "王某"},
            "issue_time": _text(now),
            "due_time": _text(now + timedelta(days=3)),
            "evidence_sought": f"{INSIDE} 的邮件收发记录",
        },
        "scope": {
            "selectors": [{"kind": "ADDRESS", "value": INSIDE}],
            "window": {"start_time": _text(now - _WINDOW), "end_time": _text(now)},
            "field_groups": ["CORE", "SENDER_SIDE", "RECIPIENT_SIDE"],
            "max_hits": 1000,
        },
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(Legal().zone_info).isoformat(timespec="seconds")


def _name(printed: str) -> str:
    name: str = json.loads(printed)["name"]
    return name
