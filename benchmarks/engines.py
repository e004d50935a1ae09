"""Times the engines side by side on the same work, in one run: `.venv/bin/python benchmarks/engines.py`.

For each size: a training step (expectations and their gradient, 32 samples) and 200 random states, as medians of
several turns A B A B …, and the ratio to the first engine. One thread, so that the ratios hold for a worker's slot.
"""

import statistics
import time
from collections.abc import Callable

import torch

from nas.circuits import Circuit, build_circuit
from nas.engines import Engine, make_engine
from nas.space import Genome

ENGINES = ("default.qubit", "lightning.qubit")
SIZES = ((4, 2), (4, 8), (8, 4))
TURNS = 5
SAMPLES = 32
STATES = 200


def circuit_of(qubits: int, layers: int) -> Circuit:
    """Returns angle encoding and layers of RY, RZ and a CNOT ring."""
    genome = Genome.canonical(
        qubits=qubits,
        layers=layers,
        encoding="angle-y",
        reuploading=False,
        rotations=[["ry", "rz"]] * layers,
        entangler=["cnot"] * layers,
        topology=["ring"] * layers,
        observable="z-all",
        pre_layers=[],
        post_layers=[],
        learning_rate=None,
    )
    return build_circuit(genome, qubits)


def training_step(engine: Engine, circuit: Circuit) -> None:
    """Runs one forward and backward pass with shared weights and a batch of features."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(1, circuit.n_weights, dtype=torch.float64, generator=generator).requires_grad_()
    features = torch.rand(SAMPLES, circuit.n_features, dtype=torch.float64, generator=generator)
    engine.expectations(circuit, weights, features).sum().backward()


def random_states(engine: Engine, circuit: Circuit) -> None:
    """Simulates states at random weights."""
    weights = torch.rand(STATES, circuit.n_weights, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    engine.states(circuit, weights, torch.zeros(1, circuit.n_features, dtype=torch.float64))


def medians(work: Callable[[Engine, Circuit], None], circuit: Circuit) -> list[float]:
    """Returns the median seconds of each engine, measured in turns after one turn that is not counted."""
    engines = [make_engine(name) for name in ENGINES]
    taken: list[list[float]] = [[] for _ in engines]
    for turn in range(TURNS + 1):
        for engine, seconds in zip(engines, taken, strict=True):
            started = time.perf_counter()
            work(engine, circuit)
            if turn:
                seconds.append(time.perf_counter() - started)
    return [statistics.median(seconds) for seconds in taken]


def main() -> None:
    """Prints one line for each size and kind of work."""
    torch.set_num_threads(1)
    print(f"{'work':<28}" + "".join(f"{name:>18}" for name in ENGINES) + f"{'ratio':>8}")
    for qubits, layers in SIZES:
        circuit = circuit_of(qubits, layers)
        for work in (training_step, random_states):
            seconds = medians(work, circuit)
            label = f"{work.__name__} {qubits} x {layers}"
            print(
                f"{label:<28}" + "".join(f"{1e3 * s:>15.1f} ms" for s in seconds) + f"{seconds[1] / seconds[0]:>8.1f}"
            )


if __name__ == "__main__":
    main()
