"""Exact costs, known from the description alone. Plain Python: the controller has no simulator."""

from dataclasses import asdict, dataclass
from itertools import pairwise

from nas.circuits import AMPLITUDE, GATES, Architecture, Circuit, Operation


@dataclass(frozen=True, slots=True)
class Flops:
    """Floating-point operations of one training step of one sample, by part and direction; see `flops`."""

    classical_forward: int
    classical_backward: int
    quantum_forward: int
    quantum_backward: int

    @property
    def total(self) -> int:
        """All four together."""
        return self.classical_forward + self.classical_backward + self.quantum_forward + self.quantum_backward


def exact_costs(architecture: Architecture) -> dict[str, int]:
    """Returns every static metric of an architecture, by its name in the catalogue."""
    return {
        "qubits": architecture.circuit.qubits,
        "layers": architecture.genome.layers,
        "circuit_depth": circuit_depth(architecture.circuit),
        "gates": len(architecture.circuit.operations),
        "two_qubit_gates": two_qubit_gates(architecture.circuit),
        "quantum_parameters": architecture.circuit.n_weights,
        "classical_parameters": classical_parameters(architecture),
        "flops": flops(architecture).total,
    }


def circuit_costs(circuit: Circuit) -> dict[str, int]:
    """Returns the static metrics that a bare circuit has: no layers and no classical parameters, else the same."""
    forward, backward = quantum_flops(circuit)
    return {
        "qubits": circuit.qubits,
        "circuit_depth": circuit_depth(circuit),
        "gates": len(circuit.operations),
        "two_qubit_gates": two_qubit_gates(circuit),
        "quantum_parameters": circuit.n_weights,
        "flops": forward + backward,
    }


def circuit_depth(circuit: Circuit) -> int:
    """Returns the number of moments when every operation starts as early as its wires allow; preparation is one."""
    free_from = [0] * circuit.qubits
    for operation in circuit.operations:
        moment = 1 + max(free_from[wire] for wire in operation.wires)
        for wire in operation.wires:
            free_from[wire] = moment
    return max(free_from)


def two_qubit_gates(circuit: Circuit) -> int:
    """Returns the number of gates on exactly two wires; state preparation is no gate."""
    return sum(len(operation.wires) == 2 and operation.gate != AMPLITUDE for operation in circuit.operations)


def classical_parameters(architecture: Architecture) -> int:
    """Returns the weights and biases of the classical layers, trained or frozen."""
    chains = (architecture.pre_widths, architecture.post_widths)
    return sum((n_in + 1) * n_out for widths in chains for n_in, n_out in pairwise(widths))


def flops(architecture: Architecture) -> Flops:
    """Returns the floating-point operations of one forward and one backward pass of one sample, simulated.

    Classical, for layers of a inputs and b outputs: forward 2ab (products and sums, the bias starts the sum) and b
    for the activation behind it, if any; backward 4ab (with respect to weights and inputs) and b.

    Quantum: see `quantum_flops`. What a backward pass may leave out where something is frozen is not left out.
    """
    forward = backward = 0
    for widths, n_activations in ((architecture.pre_widths, 0), (architecture.post_widths, -1)):
        # Every layer before the circuit has an activation behind it (the last one π·tanh); the logits have none.
        layers = list(pairwise(widths))
        active = layers if n_activations == 0 else layers[:n_activations]
        products = sum(n_in * n_out for n_in, n_out in layers)
        activations = sum(n_out for _, n_out in active)
        forward += 2 * products + activations
        backward += 4 * products + activations
    return Flops(forward, backward, *quantum_flops(architecture.circuit))


def flops_by_part(circuit: Circuit, architecture: Architecture | None) -> dict[str, int]:
    """Returns the four parts of `flops` by name; of a bare circuit, the two quantum ones."""
    if architecture is not None:
        return asdict(flops(architecture))
    forward, backward = quantum_flops(circuit)
    return {"quantum_forward": forward, "quantum_backward": backward}


def quantum_flops(circuit: Circuit) -> tuple[int, int]:
    """Returns the operations of simulating a circuit forward, and backward by the adjoint method.

    On N = 2ⁿ complex amplitudes, with 6 operations a product and 2 a sum: a gate with c controls and t targets is a
    dense 2^t × 2^t matrix where its controls are 1, (8·2^t − 2)·N/2^c. Preparing m features is 3m, an expectation of
    a Pauli word 8N. Backward, the state is un-computed and the adjoint state pulled back, each at the price of the
    forward gates; every angle that is not constant costs its gate once more and an inner product 8N; every observable
    4N, to add its image; preparation 6m. Angles themselves are free. No engine's shortcuts are counted, so that the
    number belongs to the architecture.
    """
    n_amplitudes = 1 << circuit.qubits
    gates = sum(_gate_flops(operation, n_amplitudes) for operation in circuit.operations)
    prepared = sum(op.features[1] - op.features[0] + 1 for op in circuit.operations if op.features is not None)
    variable = [op for op in circuit.operations if op.angle is not None and not op.angle.is_constant]
    derivatives = sum(_gate_flops(operation, n_amplitudes) + 8 * n_amplitudes for operation in variable)
    n_observables = len(circuit.observables)
    forward = gates + 3 * prepared + 8 * n_amplitudes * n_observables
    backward = 2 * gates + derivatives + 6 * prepared + 4 * n_amplitudes * n_observables
    return forward, backward


def _gate_flops(operation: Operation, n_amplitudes: int) -> int:
    if operation.gate == AMPLITUDE:
        return 0
    gate = GATES[operation.gate]
    n_targets = gate.n_wires - gate.n_controls
    return ((8 << n_targets) - 2) * (n_amplitudes >> gate.n_controls)
