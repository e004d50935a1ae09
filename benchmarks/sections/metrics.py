"""The sampling metrics: pairs of random states, and gradients at random weights."""

from benchmarks import problems
from benchmarks.bench import Bench, Prepare
from benchmarks.contenders import Contender
from benchmarks.contenders.catalogue import DEFAULT_SCRIPT, LIGHTNING_SCRIPT
from benchmarks.problems import DRAWS, PAIRS
from benchmarks.results import GRADIENT_DRAWS, Point
from benchmarks.results import PAIRS as PAIRS_WORK
from benchmarks.sections.training import step_of, takes_part
from nas.circuits import Circuit

SIZES = ((4, 4), (8, 4))

#: Scripts of PennyLane, which are slower than the engines by the same factor as in a training step (10,000 calls of a
#: QNode take half a minute), and the second precision of a compiler.
_LEFT_OUT = frozenset({DEFAULT_SCRIPT, LIGHTNING_SCRIPT, "tensorcircuit-ng complex128"})


def measure(bench: Bench) -> None:
    """Times both at each size, without what says the same twice."""
    contenders = [c for c in bench.contenders if c.name not in _LEFT_OUT]
    for qubits, layers in SIZES[:1] if bench.is_quick else SIZES:
        circuit = problems.circuit_of(qubits, layers)
        bench.compete(PAIRS_WORK, Point(qubits, layers, PAIRS), {c.name: _pairs_of(c, circuit) for c in contenders})
        problem = problems.gradient_draws(qubits, layers)
        tasks = {c.name: step_of(c, problem) for c in contenders if takes_part(bench, c, qubits)}
        bench.compete(GRADIENT_DRAWS, Point(qubits, layers, DRAWS), tasks)


def _pairs_of(contender: Contender, circuit: Circuit) -> Prepare:
    return lambda: contender.pairs(circuit, PAIRS)
