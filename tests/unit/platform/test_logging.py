"""Logs: one form, no addresses, no secrets."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from infra.platform import logging
from infra.platform.settings import Log, StoreUser

ADDRESS = "alice@example.org"


class Written:
    """What went to standard error so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._text = ""

    def getvalue(self) -> str:
        """All of it."""
        self._text += self._captured.readouterr().err
        return self._text


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """What goes to standard error."""
    yield Written(capsys)
    structlog.reset_defaults()


def objects(lines: Written) -> list[dict[str, Any]]:
    """The lines as JSON."""
    return [json.loads(line) for line in lines.getvalue().splitlines()]


def test_json_form_is_one_object_a_line_with_level_part_and_time(lines: Written) -> None:
    logging.configure(Log(form="json"))
    logging.get("agent").info("publishing", frame_end=7, reason="留存")
    logging.get("loader").warning("again")
    first, second = objects(lines)
    assert {key: first[key] for key in ("event", "component", "level", "frame_end", "reason")} == {
        "event": "publishing",
        "component": "agent",
        "level": "info",
        "frame_end": 7,
        "reason": "留存",
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", first["timestamp"])
    assert (second["component"], second["level"]) == ("loader", "warning")
    assert "留存" in lines.getvalue()


def test_a_logger_made_before_configure_takes_the_form_of_configure(lines: Written) -> None:
    early = logging.get("early")
    logging.configure(Log(form="json", level="error"))
    early.warning("not written")
    early.error("written")
    assert [line["event"] for line in objects(lines)] == ["written"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_any_text_that_holds_an_address_is_masked(lines: Written, form: Any) -> None:
    logging.configure(Log(form=form))
    log = logging.get("agent")
    log.info("one", who=ADDRESS, line=f"to=<{ADDRESS}>, relay=none", count=3)
    log.info(f"refused {ADDRESS}")
    log.bind(who=ADDRESS).error("two", other="kept")
    text = lines.getvalue()
    assert "@" not in text
    assert "example.org" not in text
    assert text.count("[masked]") == 4
    assert "kept" in text


def test_what_holds_no_address_is_left_as_it_is() -> None:
    event = {"event": "x", "count": 3, "none": None, "flag": True, "text": "mx1.example.org"}
    assert logging.mask_addresses(None, "info", dict(event)) == event


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_never_appears(lines: Written, form: Any) -> None:
    logging.configure(Log(form=form))
    user = StoreUser(user="u", password=SecretStr("correct-horse-battery"))
    logging.get("agent").error("settings", store=user, secret=user.password, every={"x": user})
    assert "correct-horse-battery" not in lines.getvalue()
    assert "settings" in lines.getvalue()


@pytest.mark.parametrize(
    "value",
    [[ADDRESS], {"to": ADDRESS}, (1, (ADDRESS,)), ADDRESS.encode(), Path(ADDRESS), ValueError(f"<{ADDRESS}>")],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_no_text_but_shows_an_address_is_masked(lines: Written, value: object) -> None:
    logging.configure(Log(form="json"))
    logging.get("agent").info("one", value=value)
    assert "@" not in lines.getvalue()


def test_an_exception_s_text_is_masked_in_the_text_form(lines: Written) -> None:
    logging.configure(Log(form="text"))
    try:
        raise ValueError(ADDRESS)
    except ValueError:
        logging.get("agent").exception("a fault")
    assert "@" not in lines.getvalue()
