"""Many small candidates at once, over the same one by one: a training step of theirs, and all that is measured."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from benchmarks.bench import Bench, Prepare
from benchmarks.contenders.base import Arrays
from benchmarks.contenders.catalogue import BATCHED, DEFAULT_ENGINE
from benchmarks.contenders.engines import EngineContender
from benchmarks.problems import SAMPLES, SEED, candidate_protocol
from benchmarks.results import BUNDLE, BUNDLE_CANDIDATES, ONE_BY_ONE, Point
from benchmarks.sections import candidate
from nas.circuits import Circuit, build_circuit
from nas.engines import Engine
from nas.evaluation import evaluate_bundle
from nas.space import Genome
from nas.spec import Protocol

POINTS = tuple(Point(4, 4, n) for n in (1, 4, 16, 64))
CANDIDATES_POINT = Point(4, 4, 16)

_ROTATIONS = (("ry",), ("ry", "rz"), ("rx", "ry"), ("rx", "rz"), ("rz", "ry", "rz"))
_ENTANGLERS = ("cnot", "cz", "crx", "crz")
_TOPOLOGIES = ("linear", "ring", "star", "pairwise")


def measure(bench: Bench) -> None:
    """Times bundles of different architectures, as a generation of a search has them."""
    engines = {c.name: c for c in bench.contenders if isinstance(c, EngineContender)}
    for point in POINTS[:3] if bench.is_quick else POINTS:
        bundle = draw(point)
        tasks = {DEFAULT_ENGINE + ONE_BY_ONE: step_of(engines[DEFAULT_ENGINE], _one_by_one, bundle)}
        for name in BATCHED:
            tasks[name] = step_of(engines[name], together, bundle)
            tasks[name + ONE_BY_ONE] = step_of(engines[name], _one_by_one, bundle)
        bench.compete(BUNDLE, point, tasks)
    _measure_candidates(bench, [engines[name] for name in reversed(BATCHED)])


def _measure_candidates(bench: Bench, engines: list[EngineContender]) -> None:
    rng = np.random.default_rng(SEED)
    genomes = [_draw_genome(CANDIDATES_POINT, rng) for _ in range(CANDIDATES_POINT.rows)]
    tasks = {}
    for engine in engines:
        protocol = candidate_protocol(engine.engine, engine.precision)
        tasks[engine.name + ONE_BY_ONE] = _evaluations_of([[genome] for genome in genomes], protocol)
        tasks[engine.name] = _evaluations_of([genomes], protocol)
    bench.compete(BUNDLE_CANDIDATES, CANDIDATES_POINT, tasks, agreement=candidate.AGREEMENT)


def _evaluations_of(bundles: list[list[Genome]], protocol: Protocol) -> Prepare:
    def run() -> Arrays:
        found = [evaluation for bundle in bundles for evaluation in evaluate_bundle(bundle, protocol)]
        return tuple(value for evaluation in found for value in candidate.in_errors(evaluation))

    return lambda: run


#: Circuits, weights (C, 1, W), and features (C, samples, F), which layers before the circuits make different.
Bundle = tuple[list[Circuit], Tensor, Tensor]


def draw(point: Point) -> Bundle:
    """Returns candidates that differ in everything but their numbers of qubits and layers."""
    rng = np.random.default_rng(SEED)
    circuits = [build_circuit(_draw_genome(point, rng), point.qubits) for _ in range(point.rows)]
    n_weights = max(circuit.n_weights for circuit in circuits)
    weights = rng.uniform(0.0, 2.0 * np.pi, (point.rows, 1, n_weights))
    features = rng.uniform(-np.pi, np.pi, (point.rows, SAMPLES, point.qubits))
    return circuits, torch.from_numpy(weights), torch.from_numpy(features)


def _draw_genome(point: Point, rng: np.random.Generator) -> Genome:
    return Genome.canonical(
        qubits=point.qubits,
        layers=point.layers,
        encoding="angle-y",
        reuploading=False,
        rotations=[_ROTATIONS[rng.integers(len(_ROTATIONS))]] * point.layers,
        entangler=[_ENTANGLERS[rng.integers(len(_ENTANGLERS))]] * point.layers,
        topology=[_TOPOLOGIES[rng.integers(len(_TOPOLOGIES))]] * point.layers,
        observable="z-all",
        pre_layers=[],
        post_layers=[],
        learning_rate=0.05,
    )


def together(engine: Engine, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> Tensor:
    """Returns (C, samples, observables) of one call."""
    return engine.bundle_expectations(circuits, weights, features)


def _one_by_one(engine: Engine, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> Tensor:
    return torch.stack([engine.expectations(*one) for one in zip(circuits, weights, features, strict=True)])


def step_of(contender: EngineContender, method: Callable[..., Tensor], bundle: Bundle) -> Prepare:
    """Returns the preparation of a step: gradients of each candidate's own loss by its weights and features."""
    circuits, weights, features = bundle

    def prepare() -> Callable[[], Arrays]:
        engine = contender.make()

        def run() -> Arrays:
            leaves = [values.detach().requires_grad_() for values in (weights, features)]
            values = method(engine, circuits, *leaves)
            return (values.detach(), *torch.autograd.grad(values.sum(-1).mean(1).sum(), leaves))

        return run

    return prepare
