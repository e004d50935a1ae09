"""Where a training step of the batched engine goes: calls into torch, and the Python between them."""

import cProfile
import pstats
import statistics

from benchmarks import problems
from benchmarks.bench import Bench
from benchmarks.contenders import Contender
from benchmarks.results import Point, Profile
from benchmarks.timing import timed

SIZES = ((4, 8), (8, 4))
CONTENDER = "batched complex128"

_STEPS = 300
_PRODUCTS = ("bmm", "matmul")


def measure(bench: Bench) -> None:
    """Profiles steps at the two sizes that the targets name; none where the engine takes no part."""
    for contender in bench.contenders:
        if contender.name == CONTENDER:
            bench.results.profiles += [_profile(bench, contender, *size) for size in SIZES]


def _profile(bench: Bench, contender: Contender, qubits: int, layers: int) -> Profile:
    problem = problems.training_step(qubits, layers)
    step = contender.step(problem)
    step()
    plain_s = statistics.median(timed(step, 1) for _ in range(_STEPS))
    with cProfile.Profile() as profiler:
        for _ in range(_STEPS):
            step()
    profile = _read(pstats.Stats(profiler), Point(qubits, layers, problem.rows), plain_s)
    bench.say(f"profile, {qubits} x {layers}: {1e3 * plain_s:.2f} ms, {profile.calls:.0f} calls into torch")
    return profile


def _read(stats: pstats.Stats, point: Point, plain_s: float) -> Profile:
    # (file, line, function) → (primitive calls, calls, own time, cumulative time, callers); "~" is of built-ins.
    built_in = {
        name: (own_calls, own_s)
        for (file, _, name), (own_calls, _, own_s, _, _) in stats.stats.items()  # type: ignore[attr-defined]
        if file == "~" and ("torch" in name or "Tensor" in name)
    }
    backward_s = sum(s for name, (_, s) in built_in.items() if "run_backward" in name)
    return Profile(
        point=point,
        plain_s=plain_s,
        profiled_s=stats.total_tt / _STEPS,  # type: ignore[attr-defined]
        calls=sum(n for n, _ in built_in.values()) / _STEPS,
        torch_s=(sum(s for _, s in built_in.values()) - backward_s) / _STEPS,
        products_s=sum(s for name, (_, s) in built_in.items() if any(one in name for one in _PRODUCTS)) / _STEPS,
        autograd_s=backward_s / _STEPS,
    )
