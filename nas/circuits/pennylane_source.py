"""Writes an architecture as a Python script that needs PennyLane and torch, and nothing of hqnas.

The script has the circuit as a QNode and the network as a torch module, which gives the same numbers as an evaluation.
Runs of like operations are written as loops, so that a layer reads as a layer.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from nas.circuits.architecture import PURE_LOGIT_SCALE, PURE_TARGET_SCALE, Architecture
from nas.circuits.circuit import Angle, Operation
from nas.circuits.gates import AMPLITUDE, GATES
from nas.space.layout import PauliWord

#: Shorter runs are as readable line by line.
_SHORTEST_LOOP: Final = 3

_INDENT: Final = "    "
_LONGEST_LINE: Final = 100


def pennylane_source(architecture: Architecture) -> str:
    """Returns the script. Its `circuit(inputs, weights)` takes inputs with or without a leading batch axis."""
    return "\n\n\n".join([_head(architecture), _qnode(architecture), _module(architecture), _main(architecture)]) + "\n"


def _head(architecture: Architecture) -> str:
    digest, qubits = architecture.genome.digest[:12], architecture.circuit.qubits
    return "\n".join(
        [
            f'"""Architecture {digest}, found by hqnas. Needs: pip install pennylane torch."""',
            "",
            *(["import math", ""] if _uses_tanh(architecture) else []),
            "import pennylane as qml",
            "import torch",
            "",
            f'device = qml.device("default.qubit", wires={qubits})',
        ]
    )


def _qnode(architecture: Architecture) -> str:
    circuit = architecture.circuit
    observables = [f"qml.expval({_word(word)})" for word in circuit.observables]
    together = f"return [{', '.join(observables)}]"
    body = [
        f'"""Takes {architecture.n_inputs} inputs and {circuit.n_weights} weights; '
        f'gives {len(circuit.observables)} expectations."""',
        *_statements(circuit.operations),
        *(
            [together]
            if len(together) <= _LONGEST_LINE
            else ["return [", *_indented(f"{o}," for o in observables), "]"]
        ),
    ]
    return "\n".join(["@qml.qnode(device)", "def circuit(inputs, weights):", *_indented(body)])


def _module(architecture: Architecture) -> str:
    weights = f"2 * torch.pi * torch.rand({architecture.circuit.n_weights}, dtype=torch.float64)"
    layers = [f"self.weights = torch.nn.Parameter({weights})"]
    if architecture.is_hybrid:
        layers.insert(0, _sequential("before", architecture.pre_widths))
        layers.append(_sequential("after", architecture.post_widths))
    lines = [
        f'"""From {architecture.n_features} features to {_outputs(architecture)}."""',
        "",
        "def __init__(self):",
        *_indented(["super().__init__()", *layers]),
        "",
        "def forward(self, x):",
        *_indented(_forward(architecture)),
    ]
    return "\n".join(["class Network(torch.nn.Module):", *_indented(lines)])


def _forward(architecture: Architecture) -> list[str]:
    if architecture.is_hybrid:
        return [
            "inputs = math.pi * torch.tanh(self.before(x))",
            "expectations = torch.stack(circuit(inputs, self.weights), dim=-1)",
            "return self.after(expectations)",
        ]
    lines = []
    if architecture.n_features > architecture.n_inputs:
        lines.append(f"# x: the first {architecture.n_inputs} principal components, of unit variance")
    lines += [
        "inputs = math.pi * torch.tanh(x)" if _uses_tanh(architecture) else "inputs = x",
        "expectations = torch.stack(circuit(inputs, self.weights), dim=-1)",
    ]
    if architecture.task == "regression":
        return [*lines, f"return {PURE_TARGET_SCALE} * expectations.mean(dim=-1, keepdim=True)"]
    if len(architecture.circuit.observables) == 1:
        return [*lines, f"return {PURE_LOGIT_SCALE} * torch.cat([expectations, -expectations], dim=-1)"]
    n_classes = architecture.n_outputs
    return [
        *lines,
        f"means = [expectations[..., label::{n_classes}].mean(dim=-1) for label in range({n_classes})]",
        f"return {PURE_LOGIT_SCALE} * torch.stack(means, dim=-1)",
    ]


def _outputs(architecture: Architecture) -> str:
    if architecture.task == "regression":
        return "the target, in standard deviations of the training split"
    return f"the logits of {architecture.n_outputs} classes"


def _main(architecture: Architecture) -> str:
    n_columns = architecture.n_features if architecture.is_hybrid else architecture.n_inputs
    body = ["network = Network()", f"print(network(torch.randn(3, {n_columns}, dtype=torch.float64)))"]
    return "\n".join(['if __name__ == "__main__":', *_indented(body)])


def _sequential(name: str, widths: tuple[int, ...]) -> str:
    layers = [f"torch.nn.Linear({n_in}, {n_out}, dtype=torch.float64)" for n_in, n_out in pairwise(widths)]
    lines = [f"self.{name} = torch.nn.Sequential("]
    for layer in layers[:-1]:
        lines += [f"{_INDENT}{layer},", f"{_INDENT}torch.nn.ReLU(),"]
    return "\n".join([*lines, f"{_INDENT}{layers[-1]},", ")"])


def _statements(operations: Sequence[Operation]) -> list[str]:
    """Returns one statement an operation, or a loop for a run that differs by constant steps of its indices."""
    lines: list[str] = []
    start = 0
    while start < len(operations):
        length = _run_length(operations[start:])
        if length >= _SHORTEST_LOOP:
            step = _steps(operations[start], operations[start + 1])
            lines += [f"for i in range({length}):", _INDENT + _statement(operations[start], step)]
        else:
            length = 1
            lines.append(_statement(operations[start], [0] * len(_indices(operations[start]))))
        start += length
    return lines


def _run_length(operations: Sequence[Operation]) -> int:
    """Returns how many operations from the first on are alike but for indices that grow by the same steps."""
    length = 1
    while (
        length < len(operations)
        and _form(operations[length]) == _form(operations[0])
        and _steps(operations[length - 1], operations[length]) == _steps(operations[0], operations[1])
    ):
        length += 1
    return length


def _form(operation: Operation) -> tuple[object, ...]:
    """Returns what an operation is apart from its indices."""
    angle = operation.angle
    shape = None if angle is None else (angle.scale, angle.weight is None, len(angle.features))
    return operation.gate, len(operation.wires), shape


def _indices(operation: Operation) -> list[int]:
    """Returns the indices of weight or features, then of wires."""
    angle = operation.angle or Angle()
    return [*([] if angle.weight is None else [angle.weight]), *angle.features, *operation.wires]


def _steps(first: Operation, second: Operation) -> list[int]:
    return [b - a for a, b in zip(_indices(first), _indices(second), strict=False)]


def _statement(operation: Operation, steps: Sequence[int]) -> str:
    if operation.gate == AMPLITUDE and operation.features is not None:
        first, last = operation.features
        wires = list(operation.wires)
        return f"qml.AmplitudeEmbedding(inputs[..., {first}:{last + 1}], wires={wires}, pad_with=0.0, normalize=True)"
    indices = [_index(start, step) for start, step in zip(_indices(operation), steps, strict=True)]
    n_wires = len(operation.wires)
    references, wires_text = indices[:-n_wires], ", ".join(indices[-n_wires:])
    wires_text = wires_text if n_wires == 1 else f"[{wires_text}]"
    angle = "" if operation.angle is None else f"{_angle(operation.angle, references)}, "
    return f"qml.{GATES[operation.gate].pennylane}({angle}wires={wires_text})"


def _angle(angle: Angle, references: Sequence[str]) -> str:
    name = "weights[{}]" if angle.weight is not None else "inputs[..., {}]"
    factors = [name.format(reference) for reference in references]
    return " * ".join(factors if factors and angle.scale == 1.0 else [repr(angle.scale), *factors])


def _index(start: int, step: int) -> str:
    if not step:
        return str(start)
    if step < 0:
        return f"{start} - i" if step == -1 else f"{start} - {-step} * i"
    growth = "i" if step == 1 else f"{step} * i"
    return f"{growth} + {start}" if start else growth


def _word(word: PauliWord) -> str:
    return " @ ".join(f"qml.{axis.upper()}({wire})" for axis, wire in word)


def _uses_tanh(architecture: Architecture) -> bool:
    return architecture.is_hybrid or not architecture.circuit.has_amplitude


def _indented(lines: Iterable[str]) -> list[str]:
    return [_INDENT + line if line else "" for text in lines for line in text.split("\n")]
