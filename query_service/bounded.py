"""Answers are bounded by their bytes, not only by how many things they list: they must fit into one message."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from google.protobuf.message import Message

from infra.platform.settings import Server

T = TypeVar("T")
M = TypeVar("M", bound=Message)


def messages(found: Iterable[M], server: Server) -> list[M]:
    """As many as fit into half of the longest message, at least one; the next page goes on behind them."""
    return fitting(found, lambda one: one.ByteSize(), server.message_bytes_max // 2)


def fitting(found: Iterable[T], size_of: Callable[[T], int], bytes_max: int) -> list[T]:
    """As many as fit, at least one; no more than one beyond them is made."""
    kept, size = list[T](), 0
    for one in found:
        size += size_of(one)
        if kept and size > bytes_max:
            break
        kept.append(one)
    return kept
