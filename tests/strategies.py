"""Random specs for property tests."""

from typing import Any

from hypothesis import strategies as st

from nas.space.layout import OBSERVABLES, TOPOLOGIES
from nas.spec import SearchSpec, parse_spec

ENCODINGS = ["angle-x", "angle-y", "angle-z", "amplitude", "iqp"]
ROTATIONS = [["ry"], ["ry", "rz"], ["rx", "ry", "rz"]]


def some_of(values: list[Any]) -> st.SearchStrategy[list[Any]]:
    """Returns a strategy of non-empty choices, in any order."""
    return st.lists(st.sampled_from(range(len(values))), min_size=1, unique=True).map(
        lambda indices: [values[i] for i in indices]
    )


@st.composite
def specs(draw: st.DrawFn) -> SearchSpec:
    """Draws a spec with any mix of fixed genes, choices and ranges."""
    low = draw(st.integers(1, 4))
    rate = draw(st.sampled_from([0.01, [0.1, 0.01], {"min": 1e-4, "max": 0.3, "log": True}, {"min": 0.1, "max": 0.2}]))
    return parse_spec(
        {
            "name": "drawn",
            "dataset": {"name": draw(st.sampled_from(["iris", "wine", "moons"]))},
            "space": {
                "qubits": {"min": low, "max": low + draw(st.integers(0, 3))},
                "layers": draw(some_of([1, 2, 3, 5])),
                "encoding": draw(some_of(ENCODINGS)),
                "reuploading": draw(some_of([True, False])),
                "rotations": draw(some_of(ROTATIONS)),
                "entangler": draw(some_of(["cnot", "cz", "crx", "crz"])),
                "topology": draw(some_of(list(TOPOLOGIES))),
                "observable": draw(some_of(list(OBSERVABLES))),
                "pre_layers": draw(some_of([[], [4], [8, 4]])),
                "post_layers": draw(some_of([[], [4]])),
                "learning_rate": rate,
                "per_layer": draw(st.lists(st.sampled_from(["rotations", "entangler", "topology"]), unique=True)),
            },
            "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
            "algorithm": {"population": 8, "generations": 4, "seed": draw(st.integers(0, 1000))},
        }
    )
