"""What arrives on a queue and is no message is left out, and told: whatever wrote it must not end a worker."""

import base64
import json
from typing import Any

import structlog

from worker.broker import TASK

log = structlog.get_logger()


class ReadableOnly:
    """Mixed into a transport of kombu's, whose consumers take for granted that an envelope is whole."""

    is_delivering = False  #: whether what was read is with the consumers now; an error is theirs from then on

    def _deliver(self, message: Any, queue: str) -> None:
        self.is_delivering = True
        if is_readable(message):
            super()._deliver(message, queue)  # type: ignore[misc]  # of the transport that this is mixed into
        else:
            tell_unreadable(queue, "it is no envelope of a doorbell")


def is_readable(message: Any) -> bool:
    """Whether it has what kombu and Celery take for granted; what it asks for is the task's to judge."""
    match message:
        case {
            "body": str(body),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"id": str(), "task": str(task)},
            "properties": {
                "body_encoding": "base64",
                "delivery_tag": str(),
                "delivery_info": {"exchange": str(), "routing_key": str()},
            },
        }:
            return task == TASK and _has_arguments(body)
    return False


def tell_unreadable(queue: str, reason: str) -> None:
    """Logs that something was taken from a queue and left out."""
    log.error("message_unreadable", queue=queue, reason=reason)


def _has_arguments(body: str) -> bool:
    """Whether the body is that of a call, in the second version of Celery's protocol: args, kwargs, and the rest."""
    try:
        decoded = json.loads(base64.b64decode(body, validate=True))
    except ValueError:
        return False
    match decoded:
        case [list(), dict(), dict()]:
            return True
    return False
