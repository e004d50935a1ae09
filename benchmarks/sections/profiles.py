"""Where a training step of the batched engine goes: calls into torch, and the Python between them."""

import cProfile
import pstats
import statistics
import time

from benchmarks import problems
from benchmarks.bench import Bench
from benchmarks.results import Point, Profile
from benchmarks.timing import Run

SIZES = ((4, 8), (8, 4))
CONTENDER = "batched complex128"

_STEPS = 300
_PRODUCTS = ("bmm", "matmul", "baddbmm")


def measure(bench: Bench) -> None:
    """Profiles steps at the two sizes that the targets name; none where the engine takes no part."""
    for contender in bench.contenders:
        if contender.name != CONTENDER:
            continue
        for size in SIZES:
            problem = problems.training_step(*size)
            step = contender.step(problem)
            step()
            plain_s = statistics.median(_seconds(step) for _ in range(_STEPS))
            profiler = cProfile.Profile()
            profiler.enable()
            for _ in range(_STEPS):
                step()
            profiler.disable()
            profile = _read(pstats.Stats(profiler), Point(*size, problem.rows), plain_s)
            bench.results.profiles.append(profile)
            bench.say(f"profile, {size[0]} x {size[1]}: {1e3 * plain_s:.2f} ms, {profile.calls:.0f} calls into torch")


def _seconds(step: Run) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


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
