"""What a circuit becomes on a device where only some pairs of wires are coupled; the router is PennyLane's transpile.

    circuit ──▶ gates on one and two wires ──▶ placement on the device ──▶ transpile ──▶ gates and depth

`transpile` brings the wires of a gate together by SWAPs along a shortest path, gate by gate. It is greedy and has no
randomness: a better placement is all that can be won, so `trials` placements are tried, and the one with the fewest
two-qubit gates counts, among equals the one of least depth. The first visits the device depth-first from its lowest
wire, so that neighbours follow one another; the others start at, and turn to, wires that a generator with the spec's
seed chooses. A SWAP counts as three CX, in number and in depth. The direction of a coupling does not matter.

PennyLane is here already. Qiskit's SABRE routes better and would be a second framework, as large, for two counts: read
these as an upper bound that treats all candidates alike.

Sources:
    PennyLane 0.45, `qml.transforms.transpile`; networkx and rustworkx for the maps.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nas.circuits import Circuit, Operation
from nas.circuits.elementary import elementary_operations, n_elementary_pairs
from nas.errors import BeyondMetric, EvaluationError
from nas.metrics.measurement import Measurement
from nas.spec.limits import MAX_ROUTED_GATES
from nas.spec.settings import RoutingSettings

if TYPE_CHECKING:
    import networkx as nx

    from nas.metrics.registry import Drawing, Subject

#: Gates that transpile gets at once: it renames all gates that follow at each detour, so long lists cost their square.
_CHUNK: Final = 32
#: A SWAP is three CX.
_SWAP_GATES: Final = 3


@dataclass(frozen=True, slots=True, order=True)
class Routed:
    """The costs of a circuit on a device; the smaller of two is the better routing."""

    two_qubit_gates: int
    depth: int  #: moments
    swaps: int


def routings(drawing: "Drawing") -> list[Routed | EvaluationError]:
    """Returns each circuit's best routing, for the metrics that share it."""
    found: list[Routed | EvaluationError] = []
    for circuit in drawing.circuits:
        try:
            found.append(route(circuit, drawing.settings.routing))
        except BeyondMetric as error:
            found.append(error)
    return found


def measurement(subject: "Subject", name: str, value: int) -> Measurement:
    """Returns an exact count with the conditions of the routing."""
    router = f"PennyLane {version('pennylane')} transpile"
    protocol = {**subject.settings.routing.model_dump(mode="json"), "router": router}
    return Measurement(name, value, None, protocol, {"swaps": subject.drawn(routings).swaps})


def route(circuit: Circuit, settings: RoutingSettings) -> Routed:
    """Returns the best routing over the placements; the same arguments give the same.

    Cost: trials · gates, and as many shortest paths on the device as gates of wires that are apart.

    Raises:
        BeyondMetric: too many gates on two wires, or fewer wires on the device than the circuit has.
    """
    device = coupling_graph(settings.coupling_map, circuit.qubits)
    if device.number_of_nodes() < circuit.qubits:
        raise BeyondMetric(f"{circuit.qubits} qubits do not fit a device of {device.number_of_nodes()} wires")
    if n_elementary_pairs(circuit) > MAX_ROUTED_GATES:
        raise BeyondMetric(
            f"routing is for at most {MAX_ROUTED_GATES} gates on two wires, and the circuit has "
            f"{n_elementary_pairs(circuit)}, preparation of amplitudes included"
        )
    operations = list(elementary_operations(circuit))
    placements = islice(_placements(device, circuit.qubits, settings.seed), settings.trials)
    return min(_routed(operations, device, placement) for placement in placements)


def coupling_graph(coupling: str | Sequence[tuple[int, int]], n_qubits: int) -> "nx.Graph[int]":
    """Returns a device; a named one is as large as the circuit, or the smallest heavy-hex lattice that holds it.

    A grid is as square as can be, with wires row by row. heavy-hex is the lattice of distance d = 1, 3, 5 …, which has
    (5d² − 2d − 1)/2 wires (Chamberland et al. 2020, arXiv 1907.09528).
    """
    import networkx as nx  # loaded where something is routed: a worker starts without it

    if not isinstance(coupling, str):
        return nx.Graph(sorted(coupling))
    if coupling == "heavy-hex":
        import rustworkx as rx

        distance = next(d for d in range(1, 2 * n_qubits + 2, 2) if (5 * d * d - 2 * d - 1) // 2 >= n_qubits)
        lattice = rx.generators.heavy_hex_graph(distance)
        graph: nx.Graph[int] = nx.Graph(sorted((a, b) for a, b in lattice.edge_list()))
        graph.add_nodes_from(lattice.node_indices())
        return graph
    if coupling == "grid":
        columns = next(c for c in range(1, n_qubits + 1) if c * c >= n_qubits)
        grid = nx.grid_2d_graph(-(-n_qubits // columns), columns)
        return nx.relabel_nodes(grid, {(row, column): row * columns + column for row, column in grid})
    return nx.path_graph(n_qubits) if coupling == "line" or n_qubits < 3 else nx.cycle_graph(n_qubits)


def _placements(device: "nx.Graph[int]", n_qubits: int, seed: int) -> Iterator[list[int]]:
    """Yields device wires for the wires of a circuit, neighbours after one another where possible; without end."""
    rng = np.random.default_rng(seed)
    nodes = sorted(device)
    yield _depth_first(device, nodes)[:n_qubits]
    while True:
        order = [nodes[i] for i in rng.permutation(len(nodes))]
        yield _depth_first(device, order)[:n_qubits]


def _depth_first(device: "nx.Graph[int]", order: list[int]) -> list[int]:
    """Returns all wires by a depth-first visit that starts at the first of `order` and prefers earlier ones."""
    import networkx as nx  # as above

    rank = {node: i for i, node in enumerate(order)}
    return list(nx.dfs_preorder_nodes(device, order[0], sort_neighbors=lambda some: sorted(some, key=rank.__getitem__)))


def _routed(operations: Sequence[Operation], device: "nx.Graph[int]", placement: Sequence[int]) -> Routed:
    at = dict(enumerate(placement))
    at |= dict(enumerate((node for node in sorted(device) if node not in set(placement)), start=len(placement)))
    free_from = dict.fromkeys(device, 0)
    n_pairs = n_swaps = 0
    for start in range(0, len(operations), _CHUNK):
        gates, at = _transpiled(operations[start : start + _CHUNK], device, at)
        for gate in gates:
            n_moments = _SWAP_GATES if gate.name == "SWAP" else 1
            finished = n_moments + max(free_from[wire] for wire in gate.wires)
            free_from.update(dict.fromkeys(gate.wires, finished))
            n_swaps += gate.name == "SWAP"
            n_pairs += n_moments if len(gate.wires) == 2 else 0
    return Routed(n_pairs, max(free_from.values()), n_swaps)


def _transpiled(
    operations: Sequence[Operation], device: "nx.Graph[int]", at: dict[int, int]
) -> tuple[list[Any], dict[int, int]]:
    """Returns gates on wires of the device, and where each wire of the circuit is behind them.

    Gates stand for their wires alone: X for any on one, CX for any on two.
    """
    import pennylane as qml  # as above

    gates = [
        qml.X(at[op.wires[0]]) if len(op.wires) == 1 else qml.CNOT([at[wire] for wire in op.wires]) for op in operations
    ]
    wires = list(at.values())
    (routed,), _ = qml.transforms.transpile(qml.tape.QuantumScript(gates, [qml.probs(wires=wires)]), device)
    # The measurement moves with its wires, which is how transpile tells where they went.
    return routed.operations, dict(zip(at, routed.measurements[0].wires, strict=True))
