"""What an NVIDIA GPU adds: bundles on CUDA, and lightning.gpu on wide circuits."""

import pennylane as qml
import torch

from benchmarks import problems
from benchmarks.bench import Bench
from benchmarks.contenders.catalogue import BATCHED
from benchmarks.contenders.engines import EngineContender
from benchmarks.contenders.pennylane import RowScript
from benchmarks.results import GPU_BUNDLE, GPU_STEP, Point
from benchmarks.sections import bundles
from benchmarks.sections.training import step_of
from nas.errors import EngineUnavailable

BUNDLE_POINT = Point(8, 4, 64)
ON_GPU = ", CUDA"
WIDE = tuple(Point(n, 2, 1) for n in (20, 22, 24, 26))


def measure(bench: Bench) -> None:
    """Times both where there is a GPU, and says so where there is none."""
    if not torch.cuda.is_available():
        bench.note("There is no GPU on this machine: what runs on one is not measured.")
        return
    _bundles(bench)
    try:
        engine = EngineContender("lightning.gpu engine", "lightning.gpu", "complex128", device="gpu")
        script = RowScript("lightning.gpu script", "complex128", device="lightning.gpu")
        engine.versions  # noqa: B018  # makes the engine, which fails without its package
    except (EngineUnavailable, ImportError, qml.exceptions.DeviceError) as error:
        bench.note(f"lightning.gpu is not measured: {error}")
        return
    for point in WIDE[:1] if bench.is_quick else WIDE:
        problem = problems.training_step(point.qubits, point.layers, samples=point.rows)
        bench.compete(GPU_STEP, point, {c.name: step_of(c, problem) for c in (script, engine)})


def _bundles(bench: Bench) -> None:
    """Times a bundle of 64 candidates at 8 qubits on one core of the CPU and on CUDA."""
    bundle = bundles.draw(BUNDLE_POINT)
    tasks = {}
    for name in reversed(BATCHED):  # complex128 on the CPU is the reference
        for device, suffix in (("cpu", ""), ("gpu", ON_GPU)):
            contender = EngineContender(name + suffix, "batched", name.split()[1], device=device)
            tasks[contender.name] = bundles.step_of(contender, bundles.together, bundle)
    bench.compete(GPU_BUNDLE, BUNDLE_POINT, tasks)
