"""Circuits of the literature, written as their figures: columns of gates from left to right.

A column is a gate and where it stands, `("crx", "ring-down")`. A template has columns that stand once, in front, and
columns that are repeated in every layer. Nothing here is built: `nas/circuits/architecture.py` makes operations of it.

Sources:
    [Sim19] Sim, Johnson, Aspuru-Guzik 2019, Adv. Quantum Technol. 2, 1900070 (arXiv 1905.10876), figure 2: `sim-1` to
        `sim-19`, at four qubits gate by gate as drawn, wire 0 on top.
    [Kandala17] Kandala et al. 2017, Nature 549, 242 (arXiv 1704.05018), eq. 1: `hardware-efficient`, 3n Euler angles a
        layer and 2n in front. Their entangler is an interaction of their device; here it is a line of CNOTs.
    [Schuld18] Schuld, Bocharov, Svore, Wiebe 2020, Phys. Rev. A 101, 032308 (arXiv 1804.00633): `strongly-entangling`,
        the range of the ring growing from layer to layer as in PennyLane's `StronglyEntanglingLayers`.
    [Cerezo21] Cerezo et al. 2021, Nat. Commun. 12, 1791 (arXiv 2001.00550), figure 4: `brickwork`, which is PennyLane's
        `SimplifiedTwoDesign`.
    `real-amplitudes` is Qiskit's `RealAmplitudes` with its default entanglement.

Departures, all beyond four qubits or below: [Sim19] counts n/gcd(n, 3) gates in the second ring of circuits 13 to 15,
a block of range 3, which is the ring drawn at four qubits, but would leave wires out wherever 3 divides n; here it is
that ring for every n. A ring on two qubits is both directed edges, for CZ its single edge; on one there is none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from types import MappingProxyType
from typing import Final, get_args

from nas.spec.genes import LAYERED, Template

Wires = tuple[int, ...]
Column = tuple[str, str]  #: gate, and the name of its places


@dataclass(frozen=True, slots=True)
class Figure:
    """The columns of a template, `once` in front and `layer` in every layer."""

    layer: tuple[Column, ...]
    once: tuple[Column, ...] = ()


#: Names of all templates, `layered` included, in the catalogue's order.
TEMPLATES: Final[tuple[str, ...]] = get_args(Template)

#: Where the gates of a column stand, in the order in which they are applied, controls first; by qubits and layer.
PLACES: Final[Mapping[str, Callable[[int, int], tuple[Wires, ...]]]] = MappingProxyType(
    {
        "all": lambda n, _: tuple((wire,) for wire in range(n)),
        "inner": lambda n, _: tuple((wire,) for wire in range(1, n - 1)),
        "even-wires": lambda n, _: tuple((wire,) for wire in range(n - n % 2) if n > 1),
        "odd-wires": lambda n, _: tuple((wire,) for wire in range(1, n - 1 + n % 2)),
        # Pairs of neighbours. `up` has the control below, as most of figure 2 of [Sim19].
        "line-down": lambda n, _: tuple((wire, wire + 1) for wire in range(n - 1)),
        "line-down-from-last": lambda n, _: tuple((wire, wire + 1) for wire in reversed(range(n - 1))),
        "line-up": lambda n, _: tuple((wire, wire - 1) for wire in range(n - 1, 0, -1)),
        "even-pairs-up": lambda n, _: tuple((wire + 1, wire) for wire in range(0, n - 1, 2)),
        "odd-pairs-up": lambda n, _: tuple((wire + 1, wire) for wire in range(1, n - 1, 2)),
        "line-up-closed": lambda n, _: (
            *((wire, wire - 1) for wire in range(n - 1, 0, -1)),
            *([(n - 1, 0)] if n > 2 else []),
        ),
        # Rings: each wire controls the next one, or the one before, beginning with the last.
        "ring-to-next": lambda n, _: tuple((wire, (wire + 1) % n) for wire in range(n - 1, -1, -1) if n > 1),
        "ring-to-previous": lambda n, _: tuple((wire, (wire - 1) % n) for wire in (n - 1, *range(n - 1)) if n > 1),
        "ring-of-growing-range": lambda n, layer: tuple(
            (wire, (wire + 1 + layer % (n - 1)) % n) for wire in range(n) if n > 1
        ),
        "each-to-all-others": lambda n, _: tuple(permutations(reversed(range(n)), 2)),
    }
)

_H: Final = ("h", "all")
_RX: Final = ("rx", "all")
_RY: Final = ("ry", "all")
_RZ: Final = ("rz", "all")

FIGURES: Final[Mapping[str, Figure]] = MappingProxyType(
    {
        "hardware-efficient": Figure((("cx", "line-down"), _RZ, _RX, _RZ), once=(_RX, _RZ)),
        "strongly-entangling": Figure((_RZ, _RY, _RZ, ("cx", "ring-of-growing-range"))),
        "brickwork": Figure(
            (("cz", "even-pairs-up"), ("ry", "even-wires"), ("cz", "odd-pairs-up"), ("ry", "odd-wires")), once=(_RY,)
        ),
        "real-amplitudes": Figure((("cx", "line-down-from-last"), _RY), once=(_RY,)),
        "sim-1": Figure((_RX, _RZ)),
        "sim-2": Figure((_RX, _RZ, ("cx", "line-up"))),
        "sim-3": Figure((_RX, _RZ, ("crz", "line-up"))),
        "sim-4": Figure((_RX, _RZ, ("crx", "line-up"))),
        "sim-5": Figure((_RX, _RZ, ("crz", "each-to-all-others"), _RX, _RZ)),
        "sim-6": Figure((_RX, _RZ, ("crx", "each-to-all-others"), _RX, _RZ)),
        "sim-7": Figure((_RX, _RZ, ("crz", "even-pairs-up"), _RX, _RZ, ("crz", "odd-pairs-up"))),
        "sim-8": Figure((_RX, _RZ, ("crx", "even-pairs-up"), _RX, _RZ, ("crx", "odd-pairs-up"))),
        "sim-9": Figure((_H, ("cz", "line-up"), _RX)),
        "sim-10": Figure((("cz", "line-up-closed"), _RY), once=(_RY,)),
        "sim-11": Figure((_RY, _RZ, ("cx", "even-pairs-up"), ("ry", "inner"), ("rz", "inner"), ("cx", "odd-pairs-up"))),
        "sim-12": Figure((_RY, _RZ, ("cz", "even-pairs-up"), ("ry", "inner"), ("rz", "inner"), ("cz", "odd-pairs-up"))),
        "sim-13": Figure((_RY, ("crz", "ring-to-next"), _RY, ("crz", "ring-to-previous"))),
        "sim-14": Figure((_RY, ("crx", "ring-to-next"), _RY, ("crx", "ring-to-previous"))),
        "sim-15": Figure((_RY, ("cx", "ring-to-next"), _RY, ("cx", "ring-to-previous"))),
        "sim-16": Figure((_RX, _RZ, ("crz", "even-pairs-up"), ("crz", "odd-pairs-up"))),
        "sim-17": Figure((_RX, _RZ, ("crx", "even-pairs-up"), ("crx", "odd-pairs-up"))),
        "sim-18": Figure((_RX, _RZ, ("crz", "ring-to-next"))),
        "sim-19": Figure((_RX, _RZ, ("crx", "ring-to-next"))),
    }
)


def placed(columns: tuple[Column, ...], n_qubits: int, layer: int) -> tuple[tuple[str, Wires], ...]:
    """Returns the gates of columns with their wires, in order; `layer` counts from 0."""
    return tuple((gate, wires) for gate, places in columns for wires in PLACES[places](n_qubits, layer))


@cache
def canonical_template(template: str, n_qubits: int) -> str:
    """Returns the first template with the same gates on this many qubits: on one, `sim-4` is `sim-1`.

    `layered` stays apart, though it can be told to build what some template builds.

    Raises:
        ValueError: unknown template.
    """
    if template == LAYERED:
        return LAYERED
    if template not in FIGURES:
        raise ValueError(f"unknown template {template!r}; choose from {', '.join(TEMPLATES)}")
    wanted = _gates(template, n_qubits)
    return next(name for name in FIGURES if _gates(name, n_qubits) == wanted)


def _gates(template: str, n_qubits: int) -> tuple[tuple[tuple[str, Wires], ...], ...]:
    """Returns what stands once and in each of the layers that may differ; CZ has no direction."""
    figure = FIGURES[template]
    parts = [placed(figure.once, n_qubits, 0)]
    parts += [placed(figure.layer, n_qubits, layer) for layer in range(max(1, n_qubits - 1))]
    return tuple(
        tuple((gate, tuple(sorted(wires)) if gate == "cz" else wires) for gate, wires in part) for part in parts
    )
