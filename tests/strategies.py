"""Random specs and circuits for property tests."""

from typing import Any

from hypothesis import strategies as st

from nas.circuits import AMPLITUDE, GATES, Angle, Circuit, Operation
from nas.space.layout import OBSERVABLES, TOPOLOGIES, PauliWord
from nas.spec import InvalidSpec, SearchSpec, parse_spec

ENCODINGS = ["angle-x", "angle-y", "angle-z", "amplitude", "iqp"]
ROTATIONS = [["ry"], ["ry", "rz"], ["rx", "ry", "rz"]]


def some_of(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    """Returns a strategy of non-empty choices, in any order."""
    return st.lists(st.sampled_from(range(len(values))), min_size=1, unique=True).map(
        lambda indices: [values[i] for i in indices]
    )


TEMPLATE_SAMPLE = ["layered", "sim-1", "sim-4", "sim-10", "sim-14", "brickwork", "strongly-entangling"]


@st.composite
def specs(draw: st.DrawFn) -> SearchSpec:
    """Draws a spec with any mix of fixed genes, choices and ranges, of templates, and of forbidden combinations."""
    low = draw(st.integers(1, 4))
    rate = draw(st.sampled_from([0.01, [0.1, 0.01], {"min": 1e-4, "max": 0.3, "log": True}, {"min": 0.1, "max": 0.2}]))
    space = {
        "qubits": {"min": low, "max": low + draw(st.integers(0, 3))},
        "layers": draw(some_of([1, 2, 3, 5])),
        "encoding": draw(some_of(ENCODINGS)),
        "reuploading": draw(some_of([True, False])),
        "template": draw(st.one_of(st.just("layered"), some_of(TEMPLATE_SAMPLE))),
        "rotations": draw(some_of(ROTATIONS)),
        "entangler": draw(some_of(["cnot", "cz", "crx", "crz"])),
        "topology": draw(some_of(list(TOPOLOGIES))),
        "observable": draw(some_of(list(OBSERVABLES))),
        "pre_layers": draw(some_of([[], [4], [8, 4]])),
        "post_layers": draw(some_of([[], [4]])),
        "learning_rate": rate,
        "per_layer": draw(st.lists(st.sampled_from(["rotations", "entangler", "topology"]), unique=True)),
    }
    document = {
        "name": "drawn",
        "dataset": {"name": draw(st.sampled_from(["iris", "wine", "moons"]))},
        "space": space,
        "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
        "algorithm": {"population": 8, "generations": 4, "seed": draw(st.integers(0, 1000))},
    }
    for entry in draw(st.lists(forbidden(space), max_size=3)):
        kept = space.get("forbid", [])
        space["forbid"] = [*kept, entry]
        try:
            parse_spec(document)
        except InvalidSpec:  # the entry is met by nothing, or leaves nothing
            space["forbid"] = kept
    return parse_spec(document)


@st.composite
def forbidden(draw: st.DrawFn, space: dict[str, Any]) -> dict[str, Any]:
    """Draws conditions on some genes of a space, each a value, some values, or a range that it was written with."""
    names = draw(st.lists(st.sampled_from(sorted(set(space) - {"per_layer", "forbid"})), min_size=1, max_size=3))
    found = {}
    for name in names:
        gene = space[name]
        found[name] = draw(some_of(gene) | st.sampled_from(gene)) if isinstance(gene, list) else gene
    return {name: value for name, value in found.items() if value != []}


#: Weights and features that drawn circuits refer to, so that several gates share them.
MAX_WEIGHTS = 4
MAX_FEATURES = 5

angles = st.one_of(
    st.builds(Angle, st.sampled_from([0.0, 0.3, -1.7, 3.2])),
    st.builds(Angle, st.sampled_from([1.0, -1.0, 0.5, 3.14159]), weight=st.integers(0, MAX_WEIGHTS - 1)),
    st.builds(
        Angle,
        st.sampled_from([1.0, -1.0, 0.5, 3.14159]),
        features=st.lists(st.integers(0, MAX_FEATURES - 1), min_size=1, max_size=3).map(tuple),
    ),
)


def wires_of(n_qubits: int, n_wires: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Returns a strategy of that many different wires, in any order."""
    wires = st.integers(0, n_qubits - 1)
    return st.lists(wires, min_size=n_wires, max_size=n_wires, unique=True).map(tuple)


@st.composite
def operations(draw: st.DrawFn, n_qubits: int) -> Operation:
    """Draws any gate that fits."""
    gate = GATES[draw(st.sampled_from([name for name, gate in GATES.items() if gate.n_wires <= n_qubits]))]
    return Operation(gate.name, draw(wires_of(n_qubits, gate.n_wires)), draw(angles) if gate.has_angle else None)


@st.composite
def preparations(draw: st.DrawFn, n_qubits: int) -> Operation:
    """Draws amplitude encoding on some of the wires, in any order."""
    wires = draw(wires_of(n_qubits, draw(st.integers(1, min(n_qubits, 3)))))
    return Operation(AMPLITUDE, wires, features=(0, draw(st.integers(1, min(1 << len(wires), MAX_FEATURES) - 1))))


@st.composite
def words(draw: st.DrawFn, n_qubits: int) -> PauliWord:
    """Draws a Pauli word of up to three wires."""
    wires = sorted(draw(wires_of(n_qubits, draw(st.integers(1, min(n_qubits, 3))))))
    return tuple((draw(st.sampled_from("xyz")), wire) for wire in wires)


@st.composite
def circuits(draw: st.DrawFn, n_qubits: int) -> Circuit:
    """Draws gates on features and weights in any order, sometimes after amplitude encoding."""
    start = [draw(preparations(n_qubits))] if draw(st.integers(0, 3)) == 3 else []
    # A list of drawn length would be short: Hypothesis aims at five.
    gates = [draw(operations(n_qubits)) for _ in range(draw(st.integers(0, 24)))]
    return Circuit(n_qubits, (*start, *gates), tuple(draw(st.lists(words(n_qubits), min_size=1, max_size=4))))


def bundles() -> st.SearchStrategy[list[Circuit]]:
    """Returns a strategy of one to three circuits of one width."""
    return st.integers(1, 10).flatmap(lambda n_qubits: st.lists(circuits(n_qubits), min_size=1, max_size=3))
