"""When a process that died may be started again: bounded, and later each time."""

import time
from collections.abc import Callable
from typing import Final

N_RESTARTS: Final = 5
FIRST_DELAY_S: Final = 0.5
PROVEN_AFTER_S: Final = 60.0


class RestartPolicy:
    """Five restarts in a row after 0.5, 1, 2, 4 and 8 s; one that lived for a minute starts the count anew."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._n_restarts = 0
        self._started_at = clock()

    def started(self) -> None:
        """Notes that the process was started now."""
        self._started_at = self._clock()

    def next_delay_s(self) -> float | None:
        """Returns how long to wait before the next start of a process that has just died; None to give up."""
        if self._clock() - self._started_at >= PROVEN_AFTER_S:
            self._n_restarts = 0
        if self._n_restarts >= N_RESTARTS:
            return None
        self._n_restarts += 1
        return FIRST_DELAY_S * float(2 ** (self._n_restarts - 1))
