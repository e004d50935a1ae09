"""The broker of one machine: a folder, in which something else may lie as well."""

import errno
import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from kombu import Consumer, Message

from config.settings import Settings
from worker.broker import TASK, make_app, message, queue_of
from worker.folder_transport import LEFTOVER_S

QUEUE = queue_of("cpu")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Celery]:
    app = make_app(Settings(broker_url=f"filesystem://{tmp_path}", home=tmp_path))
    yield app
    app.close()


def ring(app: Celery) -> str:
    evaluation_id = str(uuid.uuid4())
    app.send_task(TASK, kwargs=message([evaluation_id]), queue=QUEUE, retry=False)
    return evaluation_id


def take_all(app: Celery) -> list[str]:
    """The evaluations of the doorbells in the folder, in the order in which a worker takes them."""
    taken: list[str] = []

    def on_message(received: Message) -> None:
        taken.extend(received.decode()[1]["ids"])
        received.ack()

    with app.connection_for_read() as connection:
        queue = app.amqp.queues[QUEUE](connection.default_channel)
        with Consumer(connection, [queue], on_message=on_message, accept=["json"]):
            while True:
                try:
                    connection.drain_events(timeout=0.2)
                except socket.timeout:  # noqa: UP041  # kombu's own
                    return taken


def test_doorbells_are_taken_in_their_order(app: Celery) -> None:
    rung = [ring(app) for _ in range(3)]
    assert take_all(app) == rung


@pytest.mark.parametrize("content", [b"", b"hello", b"\xff\xfe", b"{}", b"[1]", b'{"body": 1}'])
def test_what_is_no_doorbell_is_left_out_and_gone(app: Celery, tmp_path: Path, content: bytes) -> None:
    first = ring(app)
    (tmp_path / "queued" / f"{1:020d}_x.{QUEUE}.msg").write_bytes(content)
    (tmp_path / "queued" / f"{9:020d}_x.{QUEUE}.msg").write_bytes(content)
    second = ring(app)
    assert take_all(app) == [first, second]
    assert list((tmp_path / "queued").iterdir()) == []


def test_a_doorbell_that_finds_no_space_leaves_nothing(
    app: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = Path.write_text

    def write_half(path: Path, text: str) -> None:
        genuine(path, text[: len(text) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patching:
        patching.setattr(Path, "write_text", write_half)
        with pytest.raises(OSError, match="No space left"):
            ring(app)
    assert list((tmp_path / "queued").iterdir()) == []


UNFINISHED = f".{1:020d}_x.{QUEUE}.msg"
TAKEN = f".taken-{2:020d}_x.{QUEUE}.msg"


def test_what_killed_processes_left_is_gone_after_a_start_and_doorbells_are_kept(
    app: Celery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung = ring(app)
    for name in (UNFINISHED, TAKEN, ".somebody's"):
        (tmp_path / "queued" / name).touch()
    now = time.time()
    monkeypatch.setattr("worker.folder_transport.time.time", lambda: now + LEFTOVER_S + 60)
    assert take_all(app) == [rung]
    assert [path.name for path in (tmp_path / "queued").iterdir()] == [".somebody's"]


def test_a_start_leaves_alone_what_others_are_at_however_old_the_doorbell(app: Celery, tmp_path: Path) -> None:
    for name in (UNFINISHED, TAKEN):
        (tmp_path / "queued" / name).touch()
        # A doorbell that is taken keeps the time at which it was written.
        os.utime(tmp_path / "queued" / name, (0, 0))
    assert take_all(app) == []
    assert {path.name for path in (tmp_path / "queued").iterdir()} == {UNFINISHED, TAKEN}
