"""Intents: there and back, within Kafka's limit for metadata, and nothing else is taken for one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers import intent as intents
from consumers.intent import LAYOUT, METADATA_BYTES_MAX, REFUSED_MAX, Intent, from_metadata

REASONS = ("PAYLOAD_TOO_SHORT", "PAYLOAD_TOO_LONG", "PAYLOAD_NOT_DECODABLE", "REFUSED_BY_STORE")
EPOCH = bytes(range(16))
OFFSETS = st.integers(0, 2**62)


def intent(**changes: Any) -> Intent:
    """An ordinary intent."""
    values: dict[str, Any] = {
        "topic_epoch": EPOCH,
        "after": 98,
        "first": 100,
        "last": 109,
        "count": 9,
        "count_per_schema_id": {1: 7},
        "decided_at": 1_800_000_000_000_000,
        "refused": {101: "PAYLOAD_TOO_SHORT", 105: "REFUSED_BY_STORE"},
    }
    return Intent(**values | changes)


def metadata(**changes: Any) -> str:
    """Its metadata, changed."""
    return json.dumps(json.loads(intent().to_metadata()) | changes)


@given(
    st.binary(min_size=16, max_size=16),
    OFFSETS,
    st.integers(1, 10**6),
    st.dictionaries(st.integers(1, 10**6), st.integers(1, 10**6), max_size=4),
    st.dictionaries(st.integers(0, 10**6), st.sampled_from(REASONS), max_size=100),
)
def test_an_intent_there_and_back_is_the_same(
    epoch: bytes, first: int, count: int, counts: dict[int, int], refused: dict[int, str]
) -> None:
    given_intent = Intent(
        epoch,
        first - 1,
        first,
        first + 10**6,
        count,
        counts,
        7,
        refused={first + at: reason for at, reason in refused.items()},
    )
    text = given_intent.to_metadata()
    assert len(text.encode()) == len(text) <= METADATA_BYTES_MAX
    assert from_metadata(text) == given_intent


def test_its_form_is_one_that_the_next_version_can_read() -> None:
    """Old intents are found at an upgrade: this text may only ever be added to."""
    assert intent().to_metadata() == (
        '{"v":1,"epoch":"000102030405060708090a0b0c0d0e0f","after":98,"first":100,"last":109,"count":9,"schema":{"1":7},'
        '"layout":1,"decided_at":1800000000000000,"refused":[[1,0],[5,3]]}'
    )
    assert intents._REASONS == REASONS


def test_the_most_refused_offsets_of_the_largest_batch_fit() -> None:
    first = 2**62
    refused = {first + 199_999 - 7 * at: "REFUSED_BY_STORE" for at in range(REFUSED_MAX)}
    counts = dict.fromkeys(range(100, 108), 200_000)
    text = intent(
        first=first, last=first + 10**6, count=200_000, count_per_schema_id=counts, refused=refused
    ).to_metadata()
    assert len(text) <= METADATA_BYTES_MAX
    assert METADATA_BYTES_MAX == 4096  # Kafka's offset.metadata.max.bytes


def test_one_that_does_not_fit_is_refused_and_not_cut() -> None:
    refused = {100 + at: "PAYLOAD_TOO_LONG" for at in range(600)}
    with pytest.raises(ValueError, match="does not fit in 4096"):
        intent(refused=refused).to_metadata()


def test_a_reason_that_has_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        intent(refused={101: "NOT_FRAMED"}).to_metadata()


@pytest.mark.parametrize("text", ["", None])
def test_a_commit_without_metadata_has_no_intent(text: str | None) -> None:
    assert from_metadata(text) is None


@pytest.mark.parametrize(
    "text",
    [
        metadata(v=2),
        metadata(v=0),
        metadata(v=None),
        metadata(v="1"),
        metadata(epoch="zz"),
        metadata(epoch=5),
        metadata(first="100"),
        metadata(schema=[1]),
        metadata(schema={"x": 1}),
        metadata(refused=[[1, 4]]),
        metadata(refused=[[1]]),
        metadata(refused=[["1", 0]]),
        metadata(refused=5),
        *(
            json.dumps({k: v for k, v in json.loads(metadata()).items() if k != gone})
            for gone in json.loads(metadata())
        ),
        metadata()[:-1],
        "x",
        " ",
        "null",
        "[]",
        "1",
        '"v"',
        "{}",
    ],
)
def test_what_this_version_does_not_know_is_no_intent(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_metadata(text)


@given(st.text(max_size=80))
def test_any_text_is_an_intent_or_a_value_error(text: str) -> None:
    if text:
        with pytest.raises(ValueError, match=r".*"):
            from_metadata(text)


def test_an_intent_of_another_layout_is_not_taken() -> None:
    with pytest.raises(ValueError, match="layout"):
        from_metadata(metadata(layout=LAYOUT + 1))


@pytest.mark.parametrize("changes", [{"refused": [[1, -1]]}, {"count": None}, {"last": "109"}, {"decided_at": "x"}])
def test_a_value_of_another_kind_is_not_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_metadata(metadata(**changes))


def test_deep_nesting_is_no_intent() -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_metadata("[" * 4000)
