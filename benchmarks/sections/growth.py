"""How the time of a training step grows with qubits, layers and batch."""

from benchmarks import problems
from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.contenders.catalogue import BATCHED, DEFAULT_SCRIPT, LIGHTNING_SCRIPT
from benchmarks.problems import SAMPLES
from benchmarks.results import TRAINING_STEP, Point
from benchmarks.sections.training import step_of

QUBITS = tuple(Point(n, 4, SAMPLES) for n in (2, 4, 6, 8, 10, 12))
LAYERS = tuple(Point(4, n, SAMPLES) for n in (1, 2, 4, 8, 16, 32))
BATCH = tuple(Point(4, 4, n) for n in (1, 8, 32, 128, 512, 2048))

#: A jitted step is compiled anew for each shape; that is shown along the qubits, as far as it compiles in a minute.
_MOST_COMPILED_QUBITS = 8
#: Rows beyond which a simulator that takes them one by one is a straight line.
_MOST_ROWS_ONE_BY_ONE = 512


def measure(bench: Bench) -> None:
    """Times a step at the points that no other section has timed."""
    points = {*QUBITS[: 4 if bench.is_quick else None], *LAYERS[: 4 if bench.is_quick else None]}
    points |= {*BATCH[: 4 if bench.is_quick else None]}
    timed = {row.point for row in bench.results.of(TRAINING_STEP)}
    for point in sorted(points - timed, key=lambda p: (p.qubits, p.layers, p.rows)):
        problem = problems.training_step(point.qubits, point.layers, samples=point.rows)
        tasks = {c.name: step_of(c, problem) for c in bench.contenders if _takes_part(bench, c, point)}
        bench.compete(TRAINING_STEP, point, tasks)


def _takes_part(bench: Bench, contender: Contender, point: Point) -> bool:
    if not contender.has_gradient or contender.name in (DEFAULT_SCRIPT, LIGHTNING_SCRIPT):
        return False
    if contender.is_compiled:
        is_shown = point in QUBITS and point.qubits <= _MOST_COMPILED_QUBITS and contender.precision == "complex64"
        return is_shown and not bench.is_quick
    return contender.name in BATCHED or point.rows <= _MOST_ROWS_ONE_BY_ONE or "lightning" not in contender.name
