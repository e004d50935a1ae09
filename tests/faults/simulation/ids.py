"""Ids from the seed. Nothing may depend on their order, so half of all schedules scramble it."""

import contextlib
import random
import uuid
from collections.abc import Iterator
from unittest import mock

import uuid_utils.compat
from faults.simulation.clock import Clock


class Ids:
    """Makes UUIDv7s of the simulated time, numbered in their last 32 bits."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._is_scrambled = rng.random() < 0.5
        self._n = 0

    def __call__(self) -> uuid.UUID:
        self._n += 1
        milliseconds = self._rng.getrandbits(47) if self._is_scrambled else int(self._clock.seconds * 1000)
        return uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | 0x8 << 60 | self._n)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Lets all new rows have these ids for as long as the block runs."""
        with mock.patch.object(uuid_utils.compat, "uuid7", self):
            yield
