"""What a genome becomes on a data set: the circuit and the widths of the classical layers around it.

    x ── Linear, ReLU … Linear ── π tanh ──▶ circuit ──▶ expectations ── Linear, ReLU … Linear ──▶ outputs

Outputs are the logits of classes, or the target of a regression in standard deviations of the training split.

In `pure-quantum` no classical layer stands around the circuit: principal components fitted on the training split go
in, and fixed means of the expectations are the outputs. In the hybrid modes the classical part does the reduction.
"""

from dataclasses import dataclass
from typing import Final, Self

from nas.circuits.circuit import Angle, Circuit, Operation
from nas.circuits.gates import AMPLITUDE
from nas.errors import EvaluationError
from nas.space.genome import Genome
from nas.space.layout import edges, pauli_words
from nas.spec.confirmation import ConfirmationProtocol
from nas.spec.datasets import Task
from nas.spec.protocol import Protocol
from nas.spec.search import SearchSpec

#: The logits of a pure circuit are this times means of expectations. They lie in [-1, 1]: a softmax of them alone
#: could not be surer than 88 % of one of two classes.
PURE_LOGIT_SCALE: Final = 5.0

#: The target that a pure circuit gives is this times the mean of its expectations, in standard deviations of the
#: training target: nearly all of a target lies within three of them.
PURE_TARGET_SCALE: Final = 3.0


class UnbuildableGenome(EvaluationError):
    """A genome that no network can be made of on this data set; the message says why."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network to measure. Widths are all layer sizes from end to end, and empty where there is no classical part."""

    genome: Genome
    circuit: Circuit
    n_features: int
    n_outputs: int  #: one a class, or 1 of a regression
    n_inputs: int  #: numbers that enter the circuit
    pre_widths: tuple[int, ...]
    post_widths: tuple[int, ...]
    task: Task = "classification"

    @classmethod
    def build(cls, genome: Genome, protocol: Protocol | SearchSpec | ConfirmationProtocol) -> Self:
        """Returns the architecture of a genome, which depends on the data set and the training mode alone.

        Raises:
            UnbuildableGenome: a pure circuit gives out fewer expectations than there are classes.
        """
        n_features, n_outputs = protocol.dataset.n_features, protocol.dataset.n_outputs
        is_hybrid = protocol.training.mode != "pure-quantum"
        n_inputs = _input_count(genome, n_features, is_hybrid=is_hybrid)
        circuit = build_circuit(genome, n_inputs)
        n_expectations = len(circuit.observables)
        if not is_hybrid and n_expectations < n_outputs and not (n_expectations == 1 and n_outputs == 2):
            raise UnbuildableGenome(f"{n_expectations} expectations cannot tell {n_outputs} classes apart")
        return cls(
            genome=genome,
            circuit=circuit,
            n_features=n_features,
            n_outputs=n_outputs,
            n_inputs=n_inputs,
            pre_widths=(n_features, *genome.pre_layers, n_inputs) if is_hybrid else (),
            post_widths=(n_expectations, *genome.post_layers, n_outputs) if is_hybrid else (),
            task=protocol.dataset.task,
        )

    @property
    def is_hybrid(self) -> bool:
        """Whether classical layers stand around the circuit."""
        return bool(self.pre_widths)


def build_circuit(genome: Genome, n_inputs: int) -> Circuit:
    """Returns the circuit of a genome whose encoding takes `n_inputs` features.

    A layer is its rotations on every qubit, gate by gate, then its entangler along the topology. Weights are numbered
    in that order. With re-uploading the encoding stands before every layer, else before the first alone.
    """
    encoding = encoding_operations(genome.encoding, genome.qubits, n_inputs)
    operations: list[Operation] = []
    n_weights = 0

    def weight() -> Angle:
        nonlocal n_weights
        n_weights += 1
        return Angle(weight=n_weights - 1)

    for layer in range(genome.layers):
        if layer == 0 or genome.reuploading:
            operations.extend(encoding)
        for gate in genome.rotations[layer]:
            operations.extend(Operation(gate, (wire,), weight()) for wire in range(genome.qubits))
        entangler = genome.entangler[layer]
        if entangler is None:
            continue
        for edge in edges(genome.topology[layer], genome.qubits):
            has_angle = entangler.startswith("cr")
            gate = "cx" if entangler == "cnot" else entangler
            operations.append(Operation(gate, edge, weight() if has_angle else None))
    return Circuit(genome.qubits, tuple(operations), pauli_words(genome.observable, genome.qubits))


def encoding_operations(encoding: str, n_qubits: int, n_inputs: int) -> tuple[Operation, ...]:
    """Returns the operations that put features into the state.

    `angle-z` starts with a Hadamard, without which RZ would do nothing to |0⟩. `iqp` is one repetition of
    H, RZ(x_i), RZZ(x_i x_j) over all pairs (Havlíček et al. 2019, arXiv 1804.11326). With fewer inputs than qubits,
    the inputs repeat over the wires.
    """
    wires = range(n_qubits)
    if encoding == "amplitude":
        return (Operation(AMPLITUDE, tuple(wires), features=(0, n_inputs - 1)),)
    feature = [wire % n_inputs for wire in wires]
    if encoding in ("angle-x", "angle-y"):
        gate = "r" + encoding[-1]
        return tuple(Operation(gate, (wire,), Angle(features=(feature[wire],))) for wire in wires)
    hadamards = tuple(Operation("h", (wire,)) for wire in wires)
    phases = tuple(Operation("rz", (wire,), Angle(features=(feature[wire],))) for wire in wires)
    if encoding == "angle-z":
        return (*hadamards, *phases)
    pairs = tuple(
        Operation("rzz", (a, b), Angle(features=(feature[a], feature[b]))) for a, b in edges("full", n_qubits)
    )
    return (*hadamards, *phases, *pairs)


def _input_count(genome: Genome, n_features: int, *, is_hybrid: bool) -> int:
    if genome.encoding == "amplitude":
        return min(n_features, 1 << genome.qubits)
    return genome.qubits if is_hybrid else min(n_features, genome.qubits)
