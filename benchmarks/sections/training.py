"""Training steps, and ten epochs of them with everything that comes before the first."""

from benchmarks import problems
from benchmarks.bench import Bench, Prepare
from benchmarks.contenders import Contender
from benchmarks.contenders.catalogue import DEFAULT_SCRIPT, LIGHTNING_ENGINE, LIGHTNING_SCRIPT
from benchmarks.problems import SAMPLES, Problem
from benchmarks.results import EPOCHS, TRAINING_STEP, Point

SIZES = ((4, 2), (4, 8), (8, 4), (10, 6), (12, 6))
QUICK_SIZES = ((4, 2), (4, 8), (8, 4))
EPOCHS_SIZES = ((4, 4), (8, 4))

#: 106 training samples of Wine are four batches an epoch.
STEPS = 40
RATE = 0.05

#: Qubits from which tensorcircuit-ng, which compiles for minutes, takes part in its default precision alone.
_WIDE = 10

#: Forty of their steps take as long as forty times one, which is measured above.
_NOT_IN_EPOCHS = frozenset({LIGHTNING_ENGINE, LIGHTNING_SCRIPT, DEFAULT_SCRIPT})


def measure_steps(bench: Bench) -> None:
    """Times one step at each size."""
    for qubits, layers in QUICK_SIZES if bench.is_quick else SIZES:
        problem = problems.training_step(qubits, layers)
        tasks = {c.name: step_of(c, problem) for c in bench.contenders if takes_part(bench, c, qubits)}
        bench.compete(TRAINING_STEP, Point(qubits, layers, SAMPLES), tasks)


def measure_epochs(bench: Bench) -> None:
    """Times preparation and 40 steps of descent together: every turn starts from nothing."""
    for qubits, layers in EPOCHS_SIZES[:1] if bench.is_quick else EPOCHS_SIZES:
        problem = problems.training_step(qubits, layers)
        contenders = [c for c in bench.contenders if takes_part(bench, c, qubits) and c.name not in _NOT_IN_EPOCHS]
        tasks = {c.name: _descent_of(c, problem) for c in contenders}
        bench.compete(EPOCHS, Point(qubits, layers, SAMPLES), tasks)


def takes_part(bench: Bench, contender: Contender, qubits: int) -> bool:
    """Whether a contender takes gradients, and prepares in the time there is."""
    is_spared = contender.is_compiled and contender.precision == "complex128" and (qubits >= _WIDE or bench.is_quick)
    return contender.has_gradient and not is_spared


def step_of(contender: Contender, problem: Problem) -> Prepare:
    """Returns the preparation of a training step."""
    return lambda: contender.step(problem)


def _descent_of(contender: Contender, problem: Problem) -> Prepare:
    return lambda: lambda: contender.step(problem).descend(STEPS, RATE)
