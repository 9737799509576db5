"""Metrics: names and units, and the page that shows them."""

import socket
import urllib.request
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIServer

import prometheus_client
import pytest
from prometheus_client import Counter, Gauge, Histogram

from infra.local.process import free_port
from infra.platform import metrics
from infra.platform.errors import SettingsError
from infra.platform.settings import Metrics

SERIES = {
    "liucun_producer_lines_read": (Counter, ["source"]),
    "liucun_producer_lines_not_understood": (Counter, ["source", "reason"]),
    "liucun_producer_outbox_bytes": (Gauge, []),
    "liucun_producer_newest_event_timestamp_seconds": (Gauge, ["source"]),
    "liucun_producer_published_records": (Counter, []),
    "liucun_consumer_records_inserted": (Counter, ["topic"]),
    "liucun_consumer_insert_seconds": (Histogram, ["topic"]),
    "liucun_consumer_lag_seconds": (Gauge, ["topic", "partition"]),
    "liucun_consumer_dead_letters": (Counter, ["reason"]),
    "liucun_consumer_past_retention": (Counter, []),
    "liucun_retention_days_overdue": (Gauge, []),
    "liucun_build_info": (Gauge, ["version"]),
}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[WSGIServer, Any]]]:
    """Pages that a test opened; closed after it."""
    opened: list[tuple[WSGIServer, Any]] = []

    def start(*arguments: Any) -> None:
        opened.append(prometheus_client.start_http_server(*arguments))

    monkeypatch.setattr(metrics, "start_http_server", start)
    yield opened
    for server, thread in opened:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("name", SERIES)
def test_the_catalogue_holds_what_dashboards_ask_for(name: str) -> None:
    (found,) = [metric for metric in metrics.CATALOGUE if metric._name == name]
    kind, labels = SERIES[name]
    assert type(found) is kind
    assert list(found._labelnames) == labels


def test_time_and_size_are_in_base_units() -> None:
    for metric in metrics.CATALOGUE:
        assert not metric._name.endswith(("_ms", "_milliseconds", "_minutes", "_kb", "_megabytes", "_mib")), metric
        if "_timestamp" in metric._name:
            assert metric._name.endswith("_timestamp_seconds")


def test_buckets_grow() -> None:
    histograms = [metric for metric in metrics.CATALOGUE if isinstance(metric, Histogram)]
    assert histograms
    for histogram in histograms:
        bounds = list(histogram._upper_bounds)
        assert bounds == sorted(set(bounds))
        assert bounds[-1] == float("inf")


def test_labels_are_words_of_closed_sets() -> None:
    allowed = {"source", "reason", "topic", "partition", "job", "version", "method", "type"}
    assert {label for metric in metrics.CATALOGUE for label in metric._labelnames} == allowed


def test_the_page_is_served_on_loopback(served: list[tuple[WSGIServer, Any]]) -> None:
    port = free_port()
    metrics.serve(Metrics(port=port))
    assert served[0][0].server_address == ("127.0.0.1", port)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert 'liucun_build_info{version="' in page
    assert "# TYPE liucun_producer_published_records_total counter" in page


def test_port_zero_opens_no_page(served: list[tuple[WSGIServer, Any]]) -> None:
    metrics.serve(Metrics(port=0))
    assert served == []


def test_a_port_in_use_is_one_sentence(served: list[tuple[WSGIServer, Any]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            metrics.serve(Metrics(port=port))
    assert str(caught.value) == (
        f"/metrics cannot listen on 127.0.0.1:{port} (Address already in use). "
        "Set metrics.port to a free port, or to 0 for no page."
    )
    assert served == []


def test_a_host_that_is_not_this_machine_s_is_one_sentence(served: list[tuple[WSGIServer, Any]]) -> None:
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1:"):
        metrics.serve(Metrics(host="192.0.2.1", port=free_port()))
    assert served == []


def test_a_host_that_is_no_name_is_one_sentence(served: list[tuple[WSGIServer, Any]]) -> None:
    with pytest.raises(SettingsError):
        metrics.serve(Metrics(host="a..b", port=free_port()))
