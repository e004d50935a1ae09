"""One whole candidate: what a worker does for each that a search proposes."""

from benchmarks import problems
from benchmarks.bench import Bench, Prepare
from benchmarks.contenders.base import Arrays
from benchmarks.contenders.catalogue import DEFAULT_ENGINE, LIGHTNING_ENGINE
from benchmarks.contenders.engines import EngineContender
from benchmarks.results import CANDIDATE, Point
from nas.evaluation import Evaluation, evaluate
from nas.training.datasets import load

#: Of a metric, relative to its standard error: rounding moves a fidelity over the edge of a bin now and then, and
#: forty steps of Adam carry the rounding of the first one on.
AGREEMENT = 0.05


def measure(bench: Bench) -> None:
    """Times `nas.evaluation.evaluate` for every engine of hqnas."""
    engines = [c for c in bench.contenders if isinstance(c, EngineContender)]
    engines.sort(key=lambda c: c.name != DEFAULT_ENGINE)
    if bench.is_quick:
        engines = [c for c in engines if c.name != LIGHTNING_ENGINE]
    load(problems.candidate_protocol("default.qubit", "complex128").dataset)  # read once, as by a worker
    tasks = {c.name: _evaluation_of(c) for c in engines}
    bench.compete(CANDIDATE, Point(4, 4, 1), tasks, agreement=AGREEMENT)


def _evaluation_of(contender: EngineContender) -> Prepare:
    genome, protocol = problems.candidate(), problems.candidate_protocol(contender.engine, contender.precision)

    return lambda: lambda: in_errors(evaluate(genome, protocol))


def in_errors(evaluation: Evaluation | Exception) -> Arrays:
    """Returns the metrics, each in units of its standard error.

    Raises:
        Exception: that the evaluation met.
    """
    if isinstance(evaluation, Exception):
        raise evaluation
    return tuple(metric.value / (metric.std_error or 1.0) for metric in evaluation.metrics.values())
