"""Errors: every one has a reason, an exit code, a place in its package's tree, and one sentence."""

import importlib
import inspect
import re

import pytest

from infra.platform import errors
from infra.platform.errors import FoundError, LiucunError, SettingsError, UnreachableError

MODULES = (
    "infra.platform.errors",
    "infra.platform.clickhouse",
    "producers.errors",
    "consumers.errors",
    "infra.ops.errors",
)


def classes() -> dict[str, type[LiucunError]]:
    """Every error of ours by its name."""
    return {
        name: value
        for module in map(importlib.import_module, MODULES)
        for name, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, LiucunError) and value.__module__ == module.__name__
    }


ERRORS = classes()


def test_the_trees_are_not_empty() -> None:
    assert {"LiucunError", "StoreError", "OutboxDamagedError", "DeadLetterLimitError"} <= set(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_has_a_reason_an_exit_code_and_a_sentence_about_it(name: str) -> None:
    error = ERRORS[name]
    assert name.endswith("Error")
    assert re.fullmatch(r"[A-Z]+(_[A-Z]+)*", error.reason)
    assert error.exit_code in (1, 2, 3)
    assert error.__doc__
    assert error.__doc__.rstrip().endswith(".")


def test_reasons_tell_errors_apart() -> None:
    """A base may share its parent's reason; an error that says its own says one that no other says."""
    own = [error.reason for error in ERRORS.values() if "reason" in vars(error)]
    assert len(own) == len(set(own))


def test_exit_codes_are_those_of_the_interface() -> None:
    assert (LiucunError.exit_code, UnreachableError.exit_code) == (1, 1)
    assert (SettingsError.exit_code, FoundError.exit_code) == (2, 3)
    for name, error in ERRORS.items():
        if issubclass(error, SettingsError):
            assert error.exit_code == 2, name


def test_the_trees_drawn_in_docstrings_name_the_errors_there() -> None:
    for module in map(importlib.import_module, ("producers.errors", "consumers.errors")):
        drawn = set(re.findall(r"\b[A-Z]\w+Error\b", module.__doc__ or ""))
        there = {name for name, error in ERRORS.items() if error.__module__ == module.__name__}
        assert there <= drawn, module.__name__
        assert drawn - there <= {"LiucunError", "SettingsError"}


def test_an_error_says_what_happened_and_then_what_to_do() -> None:
    error = errors.LiucunError("The disk is full.", "Free some.")
    assert str(error) == "The disk is full. Free some."
    assert (error.message, error.advice) == ("The disk is full.", "Free some.")
    assert str(errors.LiucunError("The disk is full.")) == "The disk is full."
