"""The broker: it may lose, double, delay and reorder doorbells, be emptied, or be away."""

import random
import uuid
from dataclasses import dataclass
from typing import Any

from faults.simulation.trace import Trace
from kombu.exceptions import OperationalError


@dataclass(frozen=True, slots=True)
class Doorbell:
    """A message on its way: the evaluations that it names."""

    ids: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True)
class Troubles:
    """Probabilities for each message that is sent."""

    lost: float = 0.0
    doubled: float = 0.0
    refused: float = 0.0  #: the sender sees an error; half of these arrive all the same


class Bus:
    """Stands for the Celery application, as far as the dispatcher uses it."""

    connection_errors: tuple[type[Exception], ...] = ()
    channel_errors: tuple[type[Exception], ...] = ()

    def __init__(self, trace: Trace, rng: random.Random, troubles: Troubles) -> None:
        self.waiting: list[Doorbell] = []
        self.is_away = False
        self.troubles = troubles
        self._trace = trace
        self._rng = rng

    def connection_for_write(self) -> "Bus":
        """Returns what knows the errors of a connection, and connects."""
        return self

    def __enter__(self) -> "Bus":
        return self

    def __exit__(self, *_: object) -> None:
        """A connection ends."""

    def ensure_connection(self, **_: Any) -> None:
        """Connects, or raises what Celery raises."""
        if self.is_away:
            raise OperationalError("the broker is away")

    def send_task(self, _: str, *, kwargs: dict[str, Any], **__: Any) -> None:
        """Takes a message, or raises what Celery raises."""
        doorbell = Doorbell(tuple(uuid.UUID(one) for one in kwargs["ids"]))
        roll = self._rng.random()
        if self.is_away or roll < self.troubles.refused:
            if not self.is_away and roll < self.troubles.refused / 2:
                self.waiting.append(doorbell)
            self._trace.fault("message refused", ids=doorbell.ids)
            raise OperationalError("the broker is away")
        n = 1
        roll = self._rng.random()
        if roll < self.troubles.lost:
            n = 0
        elif roll < self.troubles.lost + self.troubles.doubled:
            n = self._rng.randint(2, 4)
        if n != 1:
            self._trace.fault("message doubled" if n else "message lost", ids=doorbell.ids)
        else:
            self._trace.note("rings", ids=doorbell.ids)
        self.waiting.extend([doorbell] * n)

    def take(self, index: int) -> Doorbell:
        """Returns a waiting message and forgets it."""
        return self.waiting.pop(index)
