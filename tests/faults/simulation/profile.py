"""How much goes wrong in a schedule. Each seed has a mix of its own: some faults hide others."""

import random
from dataclasses import dataclass, field
from typing import Final, Self

from faults.simulation.bus import Troubles

_ON: Final = 0.5  #: share of schedules in which a kind of fault occurs at all

#: What is no fault: processes get their turns, messages arrive, time passes.
USUAL: Final = {"run": 30.0, "deliver": 12.0, "wait": 6.0, "request": 4.0, "start": 4.0}

#: Weights of what goes wrong between turns, from and to; `thaw` ends a `freeze`.
FAULTS: Final = {
    "stall": (0.1, 0.6),
    "kill controller": (0.2, 2.0),
    "kill worker": (0.1, 1.0),
    "crash": (0.2, 1.5),
    "terminate": (0.1, 1.0),
    "freeze": (0.2, 1.0),
    "thaw": (0.2, 1.0),
    "lose": (0.2, 1.5),
    "double": (0.2, 1.5),
    "flush": (0.05, 0.4),
    "broker": (0.2, 1.0),
    "database": (0.05, 0.4),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """Probabilities at each place, and weights of what the schedule does between turns; 0 is never."""

    turn_at_point: float = 0.0
    turn_at_statement: float = 0.0
    slow: float = 0.0  #: that a computation takes one more turn
    cut: float = 0.0
    unknown_commit: float = 0.0
    troubles: Troubles = field(default_factory=Troubles)
    weights: dict[str, float] = field(default_factory=dict)
    n_steps: int = 0  #: turns and disturbances before all heals

    @classmethod
    def draw(cls, rng: random.Random) -> Self:
        """Returns the mix of one schedule."""

        def maybe(low: float, high: float) -> float:
            return rng.uniform(low, high) if rng.random() < _ON else 0.0

        return cls(
            turn_at_point=maybe(0.05, 0.6),
            turn_at_statement=maybe(0.002, 0.05),
            slow=maybe(0.5, 0.95),
            cut=maybe(0.001, 0.01),
            unknown_commit=maybe(0.01, 0.1),
            troubles=Troubles(lost=maybe(0.02, 0.4), doubled=maybe(0.02, 0.5), refused=maybe(0.02, 0.3)),
            weights={
                **USUAL,
                **{name: maybe(*bounds) for name, bounds in FAULTS.items()},
            },
            n_steps=rng.randint(40, 220),
        )
