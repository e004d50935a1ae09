"""The work that everybody does: circuits, numbers to put in, and the candidate that is evaluated whole."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nas.circuits import Circuit, build_circuit
from nas.metrics.sampling import draw_weights
from nas.space import Genome
from nas.spec import METRICS, Protocol
from nas.spec.datasets import Dataset
from nas.spec.settings import MetricSettings
from nas.spec.training import Training

SAMPLES = 32
DRAWS = 200
PAIRS = 5_000
SEED = 20_260_525

#: What a search for trainable and expressive networks measures.
CANDIDATE_METRICS = ("validation_accuracy", "validation_loss", "expressibility", "gradient_variance", "dead_parameters")


@dataclass(frozen=True, slots=True)
class Problem:
    """Expectations and the gradient of their sum over observables, averaged over rows.

    Weights and features have a row for each circuit, or one row that stands for all.
    """

    circuit: Circuit
    weights: Tensor  #: (rows or 1, n_weights), float64
    features: Tensor  #: (rows or 1, n_features), float64
    has_feature_gradient: bool = True

    @property
    def rows(self) -> int:
        """Returns how many circuits are run."""
        return max(self.weights.shape[0], self.features.shape[0])


def genome_of(qubits: int, layers: int, *, learning_rate: float | None = None) -> Genome:
    """Returns angle encoding RY(x_i) and layers of RY, RZ and a ring of CNOTs, ⟨Z_i⟩ on all qubits."""
    return Genome.canonical(
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
        learning_rate=learning_rate,
    )


def circuit_of(qubits: int, layers: int) -> Circuit:
    """Returns the circuit of `genome_of`."""
    return build_circuit(genome_of(qubits, layers), qubits)


def random_weights(circuit: Circuit, n_rows: int, rng: np.random.Generator) -> Tensor:
    """Returns the weights that the metrics draw, (n_rows, n_weights)."""
    return draw_weights([circuit], n_rows, [rng])[0]


def training_step(qubits: int, layers: int, *, samples: int = SAMPLES) -> Problem:
    """Returns shared weights and a batch of features, differentiated by both, as a hybrid network needs it."""
    circuit, rng = circuit_of(qubits, layers), np.random.default_rng(SEED)
    features = torch.from_numpy(rng.uniform(-np.pi, np.pi, (samples, circuit.n_features)))
    return Problem(circuit, random_weights(circuit, 1, rng), features)


def gradient_draws(qubits: int, layers: int) -> Problem:
    """Returns what `gradient_variance` needs of a pure circuit: M = 200 draws of weights, the first observable."""
    whole = circuit_of(qubits, layers)
    circuit = replace(whole, observables=whole.observables[:1])
    weights = random_weights(circuit, DRAWS, np.random.default_rng(SEED))
    features = torch.zeros(1, circuit.n_features, dtype=torch.float64)
    return Problem(circuit, weights, features, has_feature_gradient=False)


def candidate() -> Genome:
    """Returns the 4 x 4 candidate that is evaluated whole."""
    return genome_of(4, 4, learning_rate=0.05)


def candidate_protocol(engine: str, precision: str) -> Protocol:
    """Returns a full-hybrid training on Wine, 10 epochs of batches of 32, and the metrics at their default sizes."""
    return Protocol(
        dataset=Dataset(name="wine"),
        training=Training(mode="full-hybrid", epochs=10, batch_size=SAMPLES),
        metrics={name: METRICS[name].version for name in CANDIDATE_METRICS},
        settings=MetricSettings(),
        engine=engine,
        device="cpu",
        precision=precision,
    )
