from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx2 as httpx
import pytest

from hqnas.client import (
    Client,
    Unavailable,
    UnexpectedAnswer,
)


def test_server_error_is_not_tried_again(client: Client, api: Any) -> None:
    api.outages = [httpx.Response(500)]

    with pytest.raises(UnexpectedAnswer, match="answered 500"):
        client.search("a")
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    "outage",
    [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), httpx.Response(503), httpx.Response(429)],
    ids=["refused", "timeout", "503", "429"],
)
def test_read_survives_an_outage(client: Client, api: Any, documents: Any, outage: Any) -> None:
    api.outages = [outage, outage]

    assert client.search(documents.search_id).name == "small"


def test_waits_between_attempts_grow(client: Client, api: Any, clock: Any, documents: Any) -> None:
    api.outages = [httpx.ConnectError("refused")] * 5

    client.search(documents.search_id)

    # Jitter takes at most half of a wait away and waits double, so one is over twice that of two before.
    assert all(later > earlier for earlier, later in zip(clock.waits_s, clock.waits_s[2:], strict=False))


def test_retry_after_in_seconds_is_waited_for(client: Client, api: Any, clock: Any, documents: Any) -> None:
    api.outages = [httpx.Response(503, headers={"Retry-After": "7"})]

    client.search(documents.search_id)

    assert clock.waits_s == [7.0]


def test_retry_after_as_a_date_is_waited_for(client: Client, api: Any, clock: Any, documents: Any) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    api.outages = [httpx.Response(503, headers={"Retry-After": at})]

    client.search(documents.search_id)

    assert 10 < clock.waits_s[0] <= 20


def test_outage_longer_than_the_patience_ends_in_unavailable(client: Client, api: Any, clock: Any) -> None:
    api.outages = [httpx.ConnectError("refused")] * 1_000

    with pytest.raises(Unavailable, match="refused"):
        client.search("a")
    assert 15 < clock.now_s <= 30


def test_cancel_that_may_have_arrived_is_not_repeated(client: Client, api: Any, documents: Any) -> None:
    api.outages = [httpx.ReadError("lost")]

    with pytest.raises(Unavailable):
        client.cancel(documents.search_id)
    assert len(api.requests) == 1


def test_cancel_that_never_left_is_repeated(client: Client, api: Any, documents: Any) -> None:
    api.outages = [httpx.ConnectError("refused")]

    assert client.cancel(documents.search_id).state == "cancelled"


def test_outages_are_told(api: Any, clock: Any, documents: Any) -> None:
    told: list[str] = []
    api.outages = [httpx.Response(503)]
    client = Client(
        "http://api.test",
        transport=httpx.MockTransport(api),
        sleep=clock.sleep,
        clock=clock,
        on_outage=lambda outage: told.append(outage.reason),
    )

    client.search(documents.search_id)

    assert told == ["answers 503 Service Unavailable"]
