"""What a genome becomes on a data set: the circuit and the widths of the classical layers around it.

    x ── Linear, ReLU … Linear ── π tanh ──▶ circuit ──▶ expectations ── Linear, ReLU … Linear ──▶ outputs

Outputs are the logits of classes, or the target of a regression in standard deviations of the training split.

In `pure-quantum` no classical layer stands around the circuit: principal components fitted on the training split go
in, and fixed means of the expectations are the outputs. In the hybrid modes the classical part does the reduction.
"""

from dataclasses import dataclass
from typing import Final, Self

from nas.circuits.circuit import Angle, Circuit, Operation
from nas.circuits.gates import AMPLITUDE, GATES
from nas.errors import EvaluationError
from nas.space.genome import Genome
from nas.space.layout import edges, pauli_words
from nas.space.templates import FIGURES, placed
from nas.spec.confirmation import ConfirmationProtocol
from nas.spec.datasets import Task
from nas.spec.genes import LAYERED
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
    """Returns the circuit of a genome whose encoding takes `n_inputs` features; with 0 it has no encoding.

    A layer of a layered circuit is its rotations on every qubit, gate by gate, then its entangler along the topology;
    that of a template is drawn in `nas/space/templates.py`. Weights are numbered in that order. With re-uploading the
    encoding stands before every layer, else before the first alone; what a template has once comes right after it.
    """
    encoding = encoding_operations(genome.encoding, genome.qubits, n_inputs) if n_inputs else ()
    parts = [layer_gates(genome, layer) for layer in range(genome.layers)]
    if genome.template != LAYERED:
        parts[0] = (*placed(FIGURES[genome.template].once, genome.qubits, 0), *parts[0])
    operations: list[Operation] = []
    n_weights = 0
    for layer, gates in enumerate(parts):
        if layer == 0 or genome.reuploading:
            operations.extend(encoding)
        for gate, wires in gates:
            angle = Angle(weight=n_weights) if GATES[gate].has_angle else None
            n_weights += angle is not None
            operations.append(Operation(gate, wires, angle))
    return Circuit(genome.qubits, tuple(operations), pauli_words(genome.observable, genome.qubits))


def layer_gates(genome: Genome, layer: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Returns the gates of a layer with their wires, in order; each gate with an angle has a weight of its own."""
    if genome.template != LAYERED:
        return placed(FIGURES[genome.template].layer, genome.qubits, layer)
    found = [(gate, (wire,)) for gate in genome.rotations[layer] for wire in range(genome.qubits)]
    entangler = genome.entangler[layer]
    if entangler is None:
        return tuple(found)
    gate = "cx" if entangler == "cnot" else entangler
    return (*found, *((gate, edge) for edge in edges(genome.topology[layer], genome.qubits)))


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
