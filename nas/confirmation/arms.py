"""The four networks of a confirmation: the candidate and its controls. They are made from its circuit, not its genome.

- `candidate`: the network as the search found it.
- `frozen_circuit`: every circuit weight stays at the value that the candidate starts from with the same seed; the
  classical layers are trained, in `quantum-only` too. What it reaches is what the classical part makes of a random
  circuit. In `pure-quantum` nothing is left to train: it tells whether training the circuit does anything at all.
- `no_entanglement`: the circuit without every gate on two or more wires, those of the encoding included. Preparing
  amplitudes is no gate and stays, and the state that it prepares may be entangled.
- `classical_net`: an MLP with one hidden layer of ReLU on the same inputs, with as close as possible to as many
  parameters as the candidate trains.

A control that is the candidate itself, for want of something to freeze or to take away, is no control: `is_void`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from nas.circuits import AMPLITUDE, Architecture, Circuit, Operation


class Arm(StrEnum):
    """A network of a confirmation; see the module's docstring."""

    CANDIDATE = "candidate"
    FROZEN_CIRCUIT = "frozen_circuit"
    NO_ENTANGLEMENT = "no_entanglement"
    CLASSICAL_NET = "classical_net"


CONTROLS: Final = (Arm.FROZEN_CIRCUIT, Arm.NO_ENTANGLEMENT, Arm.CLASSICAL_NET)


@dataclass(frozen=True, slots=True)
class Size:
    """What a network has and what of it is trained."""

    parameters: int
    trained_parameters: int
    quantum_parameters: int
    two_qubit_gates: int
    hidden: int | None = None  #: width of the classical net's hidden layer

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        names = ("parameters", "trained_parameters", "quantum_parameters", "two_qubit_gates", "hidden")
        return {name: getattr(self, name) for name in names}


def frozen(circuit: Circuit, weights: list[float]) -> Circuit:
    """Returns the circuit with its weights as constants: there is nothing left that an optimiser could move."""
    return replace(circuit, operations=tuple(_frozen(operation, weights) for operation in circuit.operations))


def _frozen(operation: Operation, weights: list[float]) -> Operation:
    angle = operation.angle
    if angle is None or angle.weight is None:
        return operation
    return replace(operation, angle=replace(angle, scale=angle.scale * weights[angle.weight], weight=None))


def unentangled(circuit: Circuit) -> tuple[Circuit, tuple[int, ...]]:
    """Returns the circuit without gates on several wires, and which of the weights it keeps, in order."""
    kept = [one for one in circuit.operations if len(one.wires) == 1 or one.gate == AMPLITUDE]
    weights = sorted({one.angle.weight for one in kept if one.angle is not None and one.angle.weight is not None})
    place = {weight: i for i, weight in enumerate(weights)}
    operations = tuple(
        one
        if one.angle is None or one.angle.weight is None
        else replace(one, angle=replace(one.angle, weight=place[one.angle.weight]))
        for one in kept
    )
    return replace(circuit, operations=operations), tuple(weights)


def has_entanglers(circuit: Circuit) -> bool:
    """Whether any gate acts on several wires."""
    return any(len(one.wires) > 1 and one.gate != AMPLITUDE for one in circuit.operations)


def classical_twin(architecture: Architecture, n_trained: int) -> Architecture:
    """Returns the MLP of one hidden layer whose parameters are closest in number; of two, the smaller.

    It has h(a + b + 1) + b parameters for a inputs, b outputs and h hidden units, h ≥ 1. Its inputs are the features,
    or the principal components that a pure circuit gets. The circuit of the result is empty and stands for the ReLU.
    """
    n_in = architecture.n_features if architecture.is_hybrid else architecture.n_inputs
    n_out = architecture.n_outputs
    each = n_in + n_out + 1
    below = max(1, (n_trained - n_out) // each)
    hidden = min((below, below + 1), key=lambda h: abs(h * each + n_out - n_trained))
    return replace(architecture, circuit=Circuit(1, (), ()), pre_widths=(n_in, hidden), post_widths=(hidden, n_out))
