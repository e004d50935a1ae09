"""Kombu's Redis transport, made safe against what is no message: there, it ends the worker that takes it."""

from queue import Empty
from typing import Any

from kombu.transport import redis

from worker.readable import ReadableOnly, tell_unreadable


class Channel(redis.Channel):  # type: ignore[misc]  # kombu has no types
    """A channel that leaves out what is not JSON. It is off the queue by then, so nothing is done about it twice."""

    def _brpop_read(self, **options: Any) -> Any:
        self.connection.is_delivering = False
        try:
            return super()._brpop_read(**options)
        except (TypeError, ValueError) as problem:
            if self.connection.is_delivering:
                raise
            tell_unreadable(",".join(sorted(self.active_queues)), str(problem))
            raise Empty from problem


class Transport(ReadableOnly, redis.Transport):  # type: ignore[misc]  # as above
    """The transport of a cluster."""

    Channel = Channel
