"""Circuits as a device would run them: gates on one or two wires, and nothing else.

What a simulator takes as one operation is taken apart by the textbook: a Toffoli into 6 CX and 9 one-qubit gates
[NielsenChuang00], a SWAP into 3 CX, and the preparation of 2^k real amplitudes into its tree of uniformly controlled
RY, 2^k − 1 rotations and 2^k − 2 CX [Mottonen05]. Every other gate is one gate: devices have different native sets,
and a factor for a CRX, say, would be a guess. The angles of a preparation depend on the data and are left at 0: the
operations are there to be counted and routed, not simulated.

Sources:
    [NielsenChuang00] Nielsen, Chuang 2000, Quantum Computation and Quantum Information, figure 4.9.
    [Mottonen05] Möttönen, Vartiainen, Bergholm, Salomaa 2005, Quantum Inf. Comput. 5, 467 (arXiv quant-ph/0407010).
"""

from collections.abc import Iterator
from math import pi

from nas.circuits.circuit import Angle, Circuit, Operation
from nas.circuits.gates import AMPLITUDE


def elementary_operations(circuit: Circuit) -> Iterator[Operation]:
    """Yields the gates of a circuit on at most two wires each, in order."""
    for operation in circuit.operations:
        if operation.gate == AMPLITUDE:
            yield from _preparation(operation.wires)
        elif operation.gate == "ccx":
            yield from _toffoli(*operation.wires)
        elif operation.gate == "swap":
            yield from swap(*operation.wires)
        else:
            yield operation


def n_elementary_pairs(circuit: Circuit) -> int:
    """Returns how many of them are on two wires, without listing those of a preparation."""
    found = 0
    for operation in circuit.operations:
        if operation.gate == AMPLITUDE:
            found += (1 << len(operation.wires)) - 2
        else:
            found += {"ccx": 6, "swap": 3}.get(operation.gate, len(operation.wires) == 2)
    return found


def swap(a: int, b: int) -> Iterator[Operation]:
    """Yields the three CX of a SWAP."""
    for wires in ((a, b), (b, a), (a, b)):
        yield Operation("cx", wires)


def _toffoli(a: int, b: int, target: int) -> Iterator[Operation]:
    def t(wire: int, *, sign: int) -> Operation:
        return Operation("p", (wire,), Angle(sign * pi / 4))

    yield Operation("h", (target,))
    yield Operation("cx", (b, target))
    yield t(target, sign=-1)
    yield Operation("cx", (a, target))
    yield t(target, sign=1)
    yield Operation("cx", (b, target))
    yield t(target, sign=-1)
    yield Operation("cx", (a, target))
    yield t(b, sign=1)
    yield t(target, sign=1)
    yield Operation("h", (target,))
    yield Operation("cx", (a, b))
    yield t(a, sign=1)
    yield t(b, sign=-1)
    yield Operation("cx", (a, b))


def _preparation(wires: tuple[int, ...]) -> Iterator[Operation]:
    for depth, target in enumerate(wires):
        for step in range(1 << depth):
            yield Operation("ry", (target,), Angle(0.0))
            if depth:
                # Between neighbours of the Gray code one control differs, cyclically.
                changed = min((step + 1 & -(step + 1)).bit_length(), depth) - 1
                yield Operation("cx", (wires[depth - 1 - changed], target))
