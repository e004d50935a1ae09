"""Draws a circuit as text: wires from top to bottom, time from left to right.

    0: ──RY(x0)──RY(w0)──●─────
                         │
    1: ──RY(x1)──RY(w1)──X──●──
                            │
    2: ──RY(x0)──RY(w2)─────X──

    gives ⟨Z0⟩ ⟨Z1⟩

`w3` is the fourth weight, `x3` the fourth feature, `●` a control, `┼` a wire that a gate passes by. A column is a
moment, but for gates that would be drawn over one another.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from textwrap import fill
from typing import Final

from nas.circuits.circuit import Angle, Circuit, Operation
from nas.circuits.gates import AMPLITUDE, GATES
from nas.space.layout import PauliWord

_WIRE, _GAP, _CONTROL, _LINK, _CROSSING = "─", "──", "●", "│", "┼"
_LARGEST_DENOMINATOR: Final = 16


@dataclass(frozen=True, slots=True)
class _Column:
    """What stands at one time: a label for each wire, empty for bare wire, and whether a line leads on downwards."""

    labels: tuple[str, ...]
    links: tuple[bool, ...]

    @property
    def width(self) -> int:
        return max(map(len, self.labels))


def draw(circuit: Circuit, *, width: int = 100) -> str:
    """Returns the drawing in lines of at most `width` characters, if no single gate needs more.

    What does not fit goes on below. The last line has the observables.
    """
    margin = len(str(circuit.qubits - 1)) + 2
    columns = [_column(moment, circuit.qubits) for moment in _moments(circuit)]
    blocks = [_block(part, circuit.qubits, margin) for part in _parts(columns, width - margin - len(_GAP))]
    if circuit.observables:
        words = " ".join(f"⟨{_word(word)}⟩" for word in circuit.observables)
        blocks.append(fill(words, width, initial_indent="gives ", subsequent_indent=" " * len("gives ")))
    return "\n\n".join(blocks)


def angle_text(angle: Angle) -> str:
    """Returns an angle as it stands in drawings: `w0`, `x0·x1`, `π/4`, `2·w1`."""
    factors = [f"x{index}" for index in angle.features]
    if angle.weight is not None:
        factors = [f"w{angle.weight}"]
    if angle.scale == 1.0 and factors:
        return "·".join(factors)
    if angle.scale == -1.0 and factors:
        return "-" + "·".join(factors)
    return "·".join([_number(angle.scale), *factors])


def _moments(circuit: Circuit) -> list[list[Operation]]:
    """Returns operations by column, each as early as all wires between its first and its last are free."""
    moments: list[list[Operation]] = []
    free_from = [0] * circuit.qubits
    for operation in circuit.operations:
        span = range(min(operation.wires), max(operation.wires) + 1)
        moment = max(free_from[wire] for wire in span)
        for wire in span:
            free_from[wire] = moment + 1
        if moment == len(moments):
            moments.append([])
        moments[moment].append(operation)
    return moments


def _column(operations: Sequence[Operation], n_qubits: int) -> _Column:
    labels, links = [""] * n_qubits, [False] * n_qubits
    for operation in operations:
        first, last = min(operation.wires), max(operation.wires)
        labels[first : last + 1] = [_CROSSING] * (last + 1 - first)
        links[first:last] = [True] * (last - first)
        for wire, label in zip(operation.wires, _labels(operation), strict=True):
            labels[wire] = label
    return _Column(tuple(labels), tuple(links))


def _labels(operation: Operation) -> list[str]:
    """Returns what stands on each of the operation's wires, in their order."""
    n_wires = len(operation.wires)
    if operation.gate == AMPLITUDE and operation.features is not None:
        first, last = operation.features
        return [f"ψ(x{first}…x{last})" if last > first else f"ψ(x{first})", *["ψ"] * (n_wires - 1)]
    gate = GATES[operation.gate]
    label = gate.symbol if operation.angle is None else f"{gate.symbol}({angle_text(operation.angle)})"
    controls = [_CONTROL] * gate.n_controls
    return [*controls, *[gate.symbol] * (n_wires - gate.n_controls - 1), label]


def _parts(columns: Sequence[_Column], room: int) -> Iterator[Sequence[_Column]]:
    """Yields runs of columns that fit the room; at least one column each, and one empty run for no columns."""
    start, used = 0, 0
    for i, column in enumerate(columns):
        needed = column.width + len(_GAP)
        if i > start and used + needed > room:
            yield columns[start:i]
            start, used = i, 0
        used += needed
    yield columns[start:]


def _block(columns: Sequence[_Column], n_qubits: int, margin: int) -> str:
    lines: list[str] = []
    for wire in range(n_qubits):
        row = (_centred(column.labels[wire], column.width, _WIRE) for column in columns)
        lines.append(f"{wire}: ".rjust(margin) + _GAP + "".join(cell + _GAP for cell in row))
        links = (_centred(_LINK if column.links[wire] else "", column.width, " ") for column in columns)
        lines.append(" " * (margin + len(_GAP)) + (" " * len(_GAP)).join(links))
    return "\n".join(line.rstrip() for line in lines[:-1])


def _centred(text: str, width: int, filler: str) -> str:
    left = (width - len(text)) // 2
    return filler * left + text + filler * (width - len(text) - left)


def _number(value: float) -> str:
    """Returns a simple fraction of π as such, and any other number with four digits."""
    fraction = Fraction(value / math.pi).limit_denominator(_LARGEST_DENOMINATOR)
    if not fraction or not math.isclose(float(fraction) * math.pi, value, rel_tol=1e-12):
        return f"{value:.4g}"
    sign = "-" if fraction < 0 else ""
    numerator = "" if abs(fraction.numerator) == 1 else str(abs(fraction.numerator))
    return f"{sign}{numerator}π" + ("" if fraction.denominator == 1 else f"/{fraction.denominator}")


def _word(word: PauliWord) -> str:
    return "·".join(f"{axis.upper()}{wire}" for axis, wire in word)
