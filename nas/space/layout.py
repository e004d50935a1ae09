"""Where entanglers and observables sit: the wiring behind the names of the genes `topology` and `observable`.

Two names can mean the same wiring on few qubits (on two, `ring` is `linear`). The canonical name is the first of
those in the catalogue's order, so that one architecture has one genome.
"""

from itertools import combinations
from typing import Final, get_args

from nas.spec.genes import Observable, Topology

Edge = tuple[int, int]

#: A product of Pauli operators, as (axis, wire) pairs ordered by wire.
PauliWord = tuple[tuple[str, int], ...]

TOPOLOGIES: Final[tuple[str, ...]] = get_args(Topology)
OBSERVABLES: Final[tuple[str, ...]] = get_args(Observable)


def edges(topology: str, n_qubits: int) -> tuple[Edge, ...]:
    """Returns (control, target) pairs in the order in which they are applied.

    `ring` closes `linear` from the last wire to the first, from three qubits on. `pairwise` is a brick wall: pairs
    from even wires, then from odd wires.

    Raises:
        ValueError: unknown topology.
    """
    chain = tuple((wire, wire + 1) for wire in range(n_qubits - 1))
    if topology == "none":
        return ()
    if topology == "linear":
        return chain
    if topology == "ring":
        return (*chain, (n_qubits - 1, 0)) if n_qubits > 2 else chain
    if topology == "star":
        return tuple((0, wire) for wire in range(1, n_qubits))
    if topology == "full":
        return tuple(combinations(range(n_qubits), 2))
    if topology == "pairwise":
        return (*chain[::2], *chain[1::2])
    raise ValueError(f"unknown topology {topology!r}; choose from {', '.join(TOPOLOGIES)}")


def pauli_words(observable: str, n_qubits: int) -> tuple[PauliWord, ...]:
    """Returns the Pauli words whose expectations a circuit gives out.

    `zz-pairs` are neighbours; on one qubit, which has none, it is Z of that qubit.

    Raises:
        ValueError: unknown observable.
    """
    wires = range(n_qubits)
    if observable == "z-first" or (observable == "zz-pairs" and n_qubits == 1):
        return ((("z", 0),),)
    if observable == "z-all":
        return tuple((("z", wire),) for wire in wires)
    if observable == "zz-pairs":
        return tuple((("z", wire), ("z", wire + 1)) for wire in wires[:-1])
    if observable == "xyz-all":
        return tuple(((axis, wire),) for axis in "xyz" for wire in wires)
    raise ValueError(f"unknown observable {observable!r}; choose from {', '.join(OBSERVABLES)}")


def canonical_topology(topology: str, n_qubits: int) -> str:
    """Returns the first topology with the same edges on this many qubits."""
    wanted = edges(topology, n_qubits)
    return next(name for name in TOPOLOGIES if edges(name, n_qubits) == wanted)


def canonical_observable(observable: str, n_qubits: int) -> str:
    """Returns the first observable with the same Pauli words on this many qubits."""
    wanted = pauli_words(observable, n_qubits)
    return next(name for name in OBSERVABLES if pauli_words(name, n_qubits) == wanted)
