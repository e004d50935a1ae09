"""One run: who takes part, at what pace, and what came out."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from benchmarks.contenders import Contender
from benchmarks.contenders.base import Arrays, as_arrays
from benchmarks.results import Point, Results, Row, counted
from benchmarks.timing import Contest, Pace

#: Results further apart than this are not the same work. Amplitudes of complex64 carry 6e-8, gates add up.
AGREEMENT: Final = 1e-5

#: From a contender to a function that does the work and returns what it found.
Prepare = Callable[[], Callable[[], Arrays]]


@dataclass(slots=True)
class Bench:
    """Runs contests and keeps their rows."""

    contenders: list[Contender]
    pace: Pace
    is_quick: bool
    results: Results = field(default_factory=Results)
    started: float = field(default_factory=time.perf_counter)

    def say(self, text: str) -> None:
        """Prints a line of progress."""
        print(f"[{time.perf_counter() - self.started:4.0f} s] {text}", flush=True)

    def note(self, text: str) -> None:
        """Prints a sentence that the report repeats."""
        self.say(text)
        self.results.notes.append(text)

    def compete(self, work: str, point: Point, tasks: dict[str, Prepare], *, agreement: float = AGREEMENT) -> None:
        """Times the tasks against one another; the first is the reference whose results the others must have."""
        self.say(f"{work}, {_sizes(point)}")
        contest = Contest(self.pace)
        reference = None
        deviations: dict[str, float] = {}
        for name, prepare in tasks.items():
            found = as_arrays(contest.enter(name, prepare))
            reference = found if reference is None else reference
            deviations[name] = max(
                float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
                for a, b in zip(found, reference, strict=True)
            )
            if not deviations[name] <= agreement:
                contest.withdraw(name)
                self.note(f"{work}, {_sizes(point)}: {name} deviates by {deviations[name]:.1e} and is not timed.")
        for name, timing in contest.timings().items():
            row = Row(
                work, point, name, timing.seconds, timing.turns, timing.preparation_s, timing.first_s, deviations[name]
            )
            self.results.rows.append(row)
            self.say(f"    {name:<28}{1e3 * row.seconds:12.3f} ms   deviation {row.deviation:.0e}")


def _sizes(point: Point) -> str:
    return f"{point.qubits} qubits x {counted(point.layers, 'layer')}, {counted(point.rows, 'row')}"
