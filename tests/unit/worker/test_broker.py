"""How doorbells travel: the settings that their safety rests on, and what a worker does with a message that is none."""

import base64
import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from config.settings import InvalidSettings, Settings
from worker.broker import MESSAGE_VERSION, MessageRefused, ids_in, make_app, message
from worker.readable import is_readable

REDIS = "redis://127.0.0.1:1/0"


def configured(tmp_path: Path, url: str = REDIS) -> Any:
    return make_app(Settings(broker_url=url, home=tmp_path)).conf


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task_acks_late", True),
        ("worker_prefetch_multiplier", 1),
        ("task_reject_on_worker_lost", False),
        ("worker_cancel_long_running_tasks_on_connection_loss", False),
        ("result_backend", None),
        ("task_ignore_result", True),
        ("worker_enable_remote_control", False),
        ("worker_send_task_events", False),
        ("accept_content", ["json"]),
        ("task_serializer", "json"),
        ("broker_connection_max_retries", None),
        ("broker_connection_retry", True),
        ("broker_connection_retry_on_startup", True),
        ("broker_channel_error_retry", True),
    ],
)
def test_our_leases_alone_decide_what_runs_again(tmp_path: Path, name: str, value: Any) -> None:
    assert configured(tmp_path)[name] == value


def test_a_child_may_take_longer_to_start_than_torch_takes_to_load(tmp_path: Path) -> None:
    assert configured(tmp_path).worker_proc_alive_timeout >= 60


@pytest.mark.parametrize("url", [REDIS, "rediss://127.0.0.1:1/0"])
def test_nothing_waits_for_a_silent_redis_without_a_limit(tmp_path: Path, url: str) -> None:
    options = configured(tmp_path, url).broker_transport_options
    assert 0 < options["socket_timeout"] <= 10
    assert 0 < options["socket_connect_timeout"] <= 10
    assert options["socket_keepalive"]
    # Kombu drops a connection whose reply is overdue after 1 s + twice the interval.
    assert 1 + 2 * options["health_check_interval"] <= 30
    assert options["max_retries"] == 0


@pytest.mark.parametrize(
    "url",
    [
        "redis://:sec/ret@redis:6379/0",
        "redis://:123/ret@redis:6379/0",
        "redis://:123?ret@redis:6379/0",
        "redis://:123#ret@redis:6379/0",
        "redis://:sec[ret@redis:6379/0",
        "rediss://:sec/ret@redis:6379/0",
        "sentinel://:sec@one:26379;sentinel://:sec/ret@two:26379",
        "amqp://hqnas:sec/ret@rabbit:5672//",
    ],
)
def test_a_broker_whose_password_is_not_encoded_is_refused_without_it(tmp_path: Path, url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"HQNAS_BROKER_URL .* percent-encode") as refused:
        configured(tmp_path, url)
    assert not {"sec", "ret", "123"} & set(re.findall(r"\w+", str(refused.value)))


@pytest.mark.parametrize(
    ("url", "why"), [("nonsense", "it does not begin with the name of a broker"), ("kafka://x", "'kafka' is no broker")]
)
def test_another_kind_of_broker_is_refused(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(InvalidSettings, match=f"HQNAS_BROKER_URL: {why}"):
        configured(tmp_path, url)


def test_a_redis_database_that_is_no_number_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="the Redis database 'name', which is no number; write redis://"):
        configured(tmp_path, "redis://redis:6379/name")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:a%2Fb%40c%23@redis:6379/0",
        "redis://redis",
        "redis://redis:6379//1",
        "redis://user:a@b@[::1]:6379/1?health_check_interval=5",
        "sentinel://one:26379/0;sentinel://two:26379/0",
        "sentinel://:s@one:26379;two:26379",
        "amqp://hqnas:a%2Fb@rabbit:5672/a@b",
    ],
)
def test_a_broker_that_can_be_read_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    assert configured(tmp_path, url).broker_url == url


def test_a_doorbell_holds_a_version_and_ids_and_nothing_else() -> None:
    ids = [uuid.uuid4(), uuid.uuid4()]
    sent = message([str(one) for one in ids])
    assert set(sent) == {"version", "ids"}
    assert ids_in(json.loads(json.dumps(sent))) == ids


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "version is None"),
        ({"version": "1", "ids": []}, "version is '1'"),
        ({"version": MESSAGE_VERSION + 1, "bundle": {}}, f"version is {MESSAGE_VERSION + 1}, and this worker knows"),
        ({"version": 1, "ids": ["x"]}, r"ids are \['x'\]"),
        ({"version": 1, "ids": 5}, "ids are 5"),
        ({"version": 1, "ids": [5]}, r"ids are \[5\]"),
    ],
)
def test_what_is_no_doorbell_is_refused_with_what_it_holds(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(MessageRefused, match=reason):
        ids_in(arguments)


PROPERTIES: dict[str, Any] = {
    "body_encoding": "base64",
    "delivery_tag": "1",
    "delivery_info": {"exchange": "hqnas", "routing_key": "hqnas.cpu"},
}


def envelope(**changes: Any) -> dict[str, Any]:
    """What kombu puts into a queue, as far as a reader needs it."""
    return {
        "body": base64.b64encode(json.dumps([[], message([]), {}]).encode()).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"id": "1", "task": "hqnas.evaluate"},
        "properties": PROPERTIES,
        **changes,
    }


def test_the_envelope_of_a_doorbell_is_readable() -> None:
    assert is_readable(envelope())


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        {},
        envelope(body=None),
        envelope(body="!!!"),
        envelope(body=base64.b64encode(b"{").decode()),
        envelope(body=base64.b64encode(b"{}").decode()),
        envelope(headers=None),
        envelope(headers={"id": "1"}),
        envelope(headers={"id": "1", "task": "another"}),
        *({name: value for name, value in envelope().items() if name != missing} for missing in envelope()),
        envelope(**{"content-type": "application/x-python-serialize"}),
        envelope(**{"content-encoding": "binary"}),
        *(
            envelope(properties={name: value for name, value in PROPERTIES.items() if name != missing})
            for missing in PROPERTIES
        ),
        envelope(properties={**PROPERTIES, "delivery_info": {}}),
    ],
)
def test_what_would_end_a_consumer_is_not_readable(found: Any) -> None:
    assert not is_readable(found)
