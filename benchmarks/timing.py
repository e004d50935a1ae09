"""Medians of turns: A B A B …, so that what slows the machine down for a while hits everybody."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

Run = Callable[[], Any]

_LONG_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is measured. A turn repeats short work; long work gets fewer turns."""

    turns: int = 11
    least_turns: int = 3
    budget_s: float = 3.0  #: of one entry, beyond which its turns become fewer
    turn_s: float = 0.03  #: what a turn lasts at least
    once_above_s: float = 6.0  #: work that lasts longer is timed in its first call alone

    def turns_of(self, seconds: float) -> int:
        """Returns how many turns work of this length gets."""
        return max(self.least_turns, min(self.turns, int(self.budget_s / max(seconds, self.turn_s))))

    def repeats_of(self, seconds: float) -> int:
        """Returns how often a turn does work of this length."""
        return max(1, math.ceil(self.turn_s / max(seconds, 1e-6)))


QUICK = Pace(turns=5, least_turns=1, budget_s=0.5, turn_s=0.01, once_above_s=1.0)


@dataclass(frozen=True, slots=True)
class Timing:
    """The median of the turns, what preparation took before them, and the first call."""

    seconds: float
    turns: int
    preparation_s: float  #: what is done once for a circuit: compilation, building of a plan
    first_s: float  #: the first call, which may compile too


@dataclass(slots=True)
class _Entry:
    run: Run
    preparation_s: float
    first_s: float
    estimate_s: float
    taken: list[float]


class Contest:
    """Entries that do the same work."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._entries: dict[str, _Entry] = {}

    def enter(self, name: str, prepare: Callable[[], Run]) -> Any:
        """Prepares an entry and returns the result of its first call, which is not counted unless it is long."""
        started = time.perf_counter()
        run = prepare()
        prepared = time.perf_counter()
        result = run()
        first_s = time.perf_counter() - prepared
        # A first call is slower than the others by things that only matter for short work.
        estimate_s = first_s if first_s > _LONG_S else timed(run, 1)
        self._entries[name] = _Entry(run, prepared - started, first_s, estimate_s, [])
        return result

    def withdraw(self, name: str) -> None:
        """Takes an entry out."""
        del self._entries[name]

    def timings(self) -> dict[str, Timing]:
        """Runs all turns and returns the medians."""
        pace = self._pace
        rest = {name: pace.turns_of(entry.estimate_s) for name, entry in self._entries.items()}
        for name, entry in self._entries.items():
            if entry.estimate_s > pace.once_above_s:
                entry.taken.append(entry.first_s)
                rest[name] = 0
        while any(rest.values()):
            for name, entry in self._entries.items():
                if rest[name]:
                    rest[name] -= 1
                    entry.taken.append(timed(entry.run, pace.repeats_of(entry.estimate_s)))
        return {
            name: Timing(statistics.median(entry.taken), len(entry.taken), entry.preparation_s, entry.first_s)
            for name, entry in self._entries.items()
        }


def timed(run: Run, repeats: int) -> float:
    """Returns the mean seconds of one call."""
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - started) / repeats
