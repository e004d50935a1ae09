"""What the batched engine is held to, beside what it reached."""

from dataclasses import dataclass
from typing import Final

from benchmarks.contenders.catalogue import (
    BATCHED,
    DEFAULT_ENGINE,
    DEFAULT_SCRIPT,
    LIGHTNING_ENGINE,
    LIGHTNING_SCRIPT,
)
from benchmarks.problems import SAMPLES
from benchmarks.results import BUNDLE, CANDIDATE, EPOCHS, ONE_BY_ONE, TRAINING_STEP, Point, Results


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio of times in one run: that of another contender to that of the batched engine."""

    work: str
    point: Point
    opponent: str  #: a contender; `{contender}` and `{precision}` stand for those of the batched engine
    at_least: float

    def reached(self, results: Results, contender: str) -> float | None:
        """Returns the ratio, if both were measured."""
        opponent = self.opponent.format(precision=contender.split()[1], contender=contender)
        own = results.find(self.work, self.point, contender)
        other = results.find(self.work, self.point, opponent)
        return None if own is None or other is None else other.seconds / own.seconds


_JITTED: Final = "tensorcircuit-ng {precision}"


def _steps(opponent: str, least: dict[tuple[int, int], float]) -> list[Target]:
    return [Target(TRAINING_STEP, Point(*size, SAMPLES), opponent, ratio) for size, ratio in least.items()]


TARGETS: Final = [
    *_steps(DEFAULT_SCRIPT, {(4, 8): 25, (8, 4): 25, (12, 6): 15}),
    *_steps(DEFAULT_ENGINE, {(4, 8): 25, (8, 4): 25, (12, 6): 15}),
    *_steps(LIGHTNING_SCRIPT, {(4, 8): 60, (8, 4): 100}),
    *_steps(LIGHTNING_ENGINE, {(4, 8): 60, (8, 4): 100}),
    Target(CANDIDATE, Point(4, 4, 1), DEFAULT_ENGINE, 30),
    Target(CANDIDATE, Point(4, 4, 1), LIGHTNING_ENGINE, 1_000),
    Target(EPOCHS, Point(8, 4, SAMPLES), _JITTED, 50),
    *_steps(_JITTED, {(4, 2): 0.5, (4, 8): 0.5, (8, 4): 1, (10, 6): 1, (12, 6): 1}),
    Target(BUNDLE, Point(4, 4, 16), "{contender}" + ONE_BY_ONE, 10),
]


def table(results: Results) -> str:
    """Returns the targets as a Markdown table."""
    lines = [
        f"| work | qubits x layers | against | at least | {' | '.join(BATCHED)} |",
        "|---|---|---|---|" + "---|" * len(BATCHED),
    ]
    for target in TARGETS:
        against = _against(target)
        cells = [_cell(target.reached(results, contender), target.at_least) for contender in BATCHED]
        size = f"{target.point.qubits} x {target.point.layers}"
        lines.append(f"| {target.work} | {size} | {against} | x{target.at_least:g} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _against(target: Target) -> str:
    if target.opponent.endswith(ONE_BY_ONE):
        return f"the {target.point.rows} candidates one by one"
    if target.opponent == _JITTED:
        compiled = "its compilation included" if target.work == EPOCHS else "its compiled step alone"
        return f"tensorcircuit-ng at the same precision, {compiled}"
    return target.opponent


def _cell(ratio: float | None, at_least: float) -> str:
    if ratio is None:
        return "not measured"
    return f"x{ratio:.3g}" if ratio >= at_least else f"**x{ratio:.3g}, missed**"
