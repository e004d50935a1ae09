"""Forbidden combinations are refused where they make no sense, and never proposed."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import ENCODINGS, forbidden, some_of

from nas.algorithms import propose
from nas.algorithms.drawing import every_genome
from nas.algorithms.generation import is_allowed
from nas.space import Genome, SearchSpace, is_forbidden
from nas.space.genome import canonical_encoding
from nas.space.layout import canonical_observable, canonical_topology
from nas.space.templates import canonical_template
from nas.spec import InvalidSpec, SearchSpec, parse_spec
from nas.spec.forbidden import Forbidden
from nas.spec.genes import Encoding, Observable, Template, Topology
from nas.spec.synonyms import FEW_QUBITS, canonical_name


def document(forbid: list[Any], **space: Any) -> dict[str, Any]:
    return {
        "name": "test",
        "dataset": {"name": "iris"},
        "space": {"qubits": {"min": 2, "max": 8}, "layers": [1, 2, 3], **space, "forbid": forbid},
        "objectives": [{"metric": "validation_accuracy"}],
    }


def spec_of(forbid: list[Any], **space: Any) -> SearchSpec:
    return parse_spec(document(forbid, **space))


def matches(entry: dict[str, Any], **genes: Any) -> bool:
    plain: dict[str, Any] = {
        "qubits": 4,
        "layers": 2,
        "encoding": "angle-y",
        "reuploading": False,
        "rotations": [["ry"], ["rx"]],
        "entangler": ["cnot", "cz"],
        "topology": ["linear", "ring"],
        "observable": "z-all",
        "pre_layers": [],
        "post_layers": [8],
        "learning_rate": 0.01,
    }
    return is_forbidden(Genome.canonical(**{**plain, **genes}), [Forbidden.model_validate(entry)])


@pytest.mark.parametrize(
    ("entry", "genes", "expected"),
    [
        ({"qubits": 4}, {}, True),
        ({"qubits": [3, 5]}, {}, False),
        ({"qubits": {"min": 3, "max": 5}, "layers": 2}, {}, True),
        ({"qubits": {"min": 3, "max": 5}, "layers": 1}, {}, False),
        ({"pre_layers": [[]]}, {}, True),
        ({"post_layers": [[8], [4]]}, {}, True),
        ({"post_layers": [8]}, {}, True),
        ({"learning_rate": {"min": 0.005, "max": 0.02}}, {}, True),
        ({"learning_rate": 0.0123456789}, {"learning_rate": 0.0123456789}, True),
        ({"learning_rate": {"min": 0.005, "max": 0.02}}, {"learning_rate": None}, False),
        # A gene that differs from layer to layer matches where any layer has it, each gene for itself.
        ({"topology": "ring"}, {}, True),
        ({"entangler": "cnot", "topology": "ring"}, {}, True),
        ({"rotations": ["rx"]}, {}, True),
        ({"rotations": [["ry", "rz"]]}, {}, False),
        # Canonical genomes: a gene without effect matches nothing, and names are the first of equal ones.
        ({"entangler": ["cnot", "cz", "crx", "crz"]}, {"topology": ["none", "none"]}, False),
        ({"topology": "ring"}, {"qubits": 2}, False),
        ({"topology": "linear"}, {"qubits": 2, "topology": ["ring", "ring"]}, True),
        ({"reuploading": True}, {"reuploading": True}, True),
        ({"reuploading": True}, {"reuploading": True, "encoding": "amplitude"}, False),
        ({"rotations": ["ry"]}, {"template": "sim-3"}, False),
        ({"template": ["sim-3", "sim-4"]}, {"template": "sim-3"}, True),
        ({"template": "layered"}, {}, True),
    ],
)
def test_an_entry_matches_what_meets_all_of_its_conditions(
    entry: dict[str, Any], genes: dict[str, Any], expected: bool
) -> None:
    assert matches(entry, **genes) is expected


BOTH = {"encoding": ["amplitude", "angle-y"], "reuploading": [False, True]}

REFUSED: list[tuple[list[Any], dict[str, Any], str, str]] = [
    ([{"colour": "red"}], {}, "space.forbid.0.colour", "unknown key 'colour'"),
    ([{"encodin": "iqp"}], {}, "space.forbid.0.encodin", "did you mean 'encoding'?"),
    ([{"encoding": "angel-x"}], {}, "space.forbid.0.encoding", "'angle-x'"),
    ([{"qubits": "four"}], {}, "space.forbid.0.qubits", "integer"),
    ([{"qubits": {"min": 5, "max": 3}}], {}, "space.forbid.0.qubits", "min 5 is above max 3"),
    ([{"qubits": 9}], {}, "space.forbid.0.qubits", "'qubits' is never 9 in this space; it takes 2, 3, 4, 5, 6, 7, 8"),
    ([{"qubits": {"min": 9, "max": 12}}], {}, "space.forbid.0.qubits", "never lies from 9 to 12"),
    ([{"encoding": ["angle-y", "iqp"], "layers": 1}], {}, "space.forbid.0.encoding", "never iqp"),
    ([{"rotations": ["rx"]}], {}, "space.forbid.0.rotations", "never [rx] in this space; it takes [ry, rz]"),
    ([{"pre_layers": [[8]]}], {}, "space.forbid.0.pre_layers", "never [8] in this space; it takes []"),
    ([{"reuploading": True}], {}, "space.forbid.0.reuploading", "never true"),
    ([{"learning_rate": 0.5}], {"learning_rate": {"min": 0.01, "max": 0.1}}, "space.forbid.0.learning_rate", "0.01 to"),
    ([{"topology": "ring"}], {"template": ["sim-1", "sim-2"]}, "space.forbid.0.topology", "remove the condition"),
    ([{}], {}, "space.forbid.0", "would forbid every architecture"),
    ([{"encoding": None}], {}, "space.forbid.0", "would forbid every architecture"),
    ([{"layers": 1}, {"encoding": "angle-y"}], {}, "space.forbid.1", "forbids every architecture"),
    ([{"layers": {"min": 1, "max": 64}}], {}, "space.forbid.0", "forbids every architecture"),
    ([{"encoding": "amplitude"}, {"encoding": "angle-y"}], BOTH, "space.forbid", "together forbid every"),
    ([{"entangler": "cnot"}], {"topology": "ring"}, "space.forbid.0", "forbids every architecture"),
    ([{"layers": [1, 2]}, {"layers": 3, "reuploading": False}], {}, "space.forbid", "together"),
    (
        [{"learning_rate": {"min": 0.001, "max": 0.02}}, {"learning_rate": {"min": 0.02, "max": 1.0}}],
        {"learning_rate": {"min": 0.01, "max": 0.1}},
        "space.forbid",
        "together",
    ),
]


@pytest.mark.parametrize(("forbid", "space", "path", "reason"), REFUSED)
def test_an_entry_that_makes_no_sense_is_refused_with_its_path(
    forbid: list[Any], space: dict[str, Any], path: str, reason: str
) -> None:
    with pytest.raises(InvalidSpec) as refused:
        spec_of(forbid, **space)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert reason in problem.message


ACCEPTED: list[tuple[list[Any], dict[str, Any]]] = [
    # Never met, since canonical genomes do not repeat state preparation; the example of the documentation.
    ([{"encoding": "amplitude", "reuploading": True}], BOTH),
    ([{"topology": ["ring", "full"], "qubits": {"min": 6, "max": 8}}], {"topology": ["ring", "full", "linear"]}),
    ([{"qubits": {"min": 6, "max": 80}}], {}),
    ([{"entangler": "cnot"}], {"topology": ["none", "ring"]}),
    ([{"entangler": "cnot"}], {"topology": "ring", "qubits": [1, 2]}),
    ([{"topology": "ring"}], {"topology": "ring", "qubits": 2}),
    ([{"rotations": ["ry", "rz"]}], {"template": ["layered", "sim-1"]}),
    (
        [{"learning_rate": {"min": 0.001, "max": 0.02}}, {"learning_rate": {"min": 0.03, "max": 1.0}}],
        {"learning_rate": {"min": 0.01, "max": 0.1}},
    ),
]


@pytest.mark.parametrize(("forbid", "space"), ACCEPTED)
def test_an_entry_that_leaves_something_is_accepted(forbid: list[Any], space: dict[str, Any]) -> None:
    assert len(spec_of(forbid, **space).space.forbid) == len(forbid)


def test_a_spec_with_forbidden_combinations_survives_its_json() -> None:
    spec = spec_of([{"encoding": "amplitude", "reuploading": True}, {"qubits": {"min": 6, "max": 8}}], **BOTH)
    stored = spec.model_dump(mode="json")
    assert stored["space"]["forbid"] == [
        {"encoding": "amplitude", "reuploading": True},
        {"qubits": {"min": 6, "max": 8}},
    ]
    assert SearchSpec.model_validate(stored) == spec


@st.composite
def small_spaces(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Draws a space of some hundred points, and entries of its own values."""
    space = {
        "qubits": draw(some_of([1, 2, 3, 5])),
        "layers": draw(some_of([1, 2])),
        "encoding": draw(some_of(ENCODINGS[2:])),
        "reuploading": draw(some_of([True, False])),
        "template": draw(some_of(["layered", "sim-1", "sim-4"])),
        "entangler": draw(some_of(["cnot", "cz"])),
        "topology": draw(some_of(["none", "linear", "ring", "pairwise"])),
        "observable": draw(some_of(["z-all", "zz-pairs"])),
        "per_layer": draw(st.sampled_from([[], ["topology"], ["entangler"]])),
    }
    return space, draw(st.lists(forbidden(space), min_size=1, max_size=3))


@settings(max_examples=60)
@given(small_spaces())
def test_entries_are_refused_exactly_if_nothing_is_left(drawn: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    space, forbid = drawn
    entries = [Forbidden.model_validate(entry) for entry in forbid]
    left = any(
        not is_forbidden(genome, entries) for genome in every_genome(SearchSpace.from_spec(spec_of([], **space)))
    )
    try:
        spec_of(forbid, **space)
    except InvalidSpec as error:
        refused = str(error)
    else:
        refused = ""
    assert ("every architecture" in refused) is not left


def test_a_forbidden_genome_is_never_proposed() -> None:
    space = {
        "topology": ["none", "linear", "ring", "full"],
        "template": ["layered", "sim-4"],
        "per_layer": ["topology"],
    }
    spec = spec_of([{"topology": ["ring", "full"]}, {"template": "sim-4", "layers": [2, 3]}], **space)
    # The small space is drawn from at random, and then gone through to its end.
    genomes = propose(spec, generation=0, survivors=[], seen=set(), n_proposed=0)
    genomes += propose(
        spec, generation=1, survivors=[], seen={genome.digest for genome in genomes}, n_proposed=len(genomes)
    )
    assert all(set(genome.topology) <= {"none", "linear"} for genome in genomes)
    assert {genome.layers for genome in genomes if genome.template == "sim-4"} == {1}
    whole = [g for g in every_genome(SearchSpace.from_spec(spec_of([], **space))) if is_allowed(spec, g)]
    assert {g.digest for g in every_genome(SearchSpace.from_spec(spec))} == {g.digest for g in whole}


def test_a_forbidden_genome_is_not_in_the_space() -> None:
    space = SearchSpace.from_spec(spec_of([{"layers": 1}]))
    drawn = [space.sample(np.random.default_rng(seed)) for seed in range(20)]
    assert {space.contains(genome) for genome in drawn if genome.layers == 1} == {False}
    assert {space.contains(genome) for genome in drawn if genome.layers > 1} == {True}


@pytest.mark.parametrize("n_qubits", range(1, 10))
def test_the_table_of_synonyms_is_what_the_wiring_says(n_qubits: int) -> None:
    derived = {
        "encoding": (get_args(Encoding), canonical_encoding),
        "template": (get_args(Template), canonical_template),
        "topology": (get_args(Topology), canonical_topology),
        "observable": (get_args(Observable), canonical_observable),
    }
    for gene, (names, canonical) in derived.items():
        assert {name: canonical_name(gene, name, n_qubits) for name in names} == {
            name: canonical(name, n_qubits) for name in names
        }
    assert n_qubits <= FEW_QUBITS or all(canonical_topology(name, n_qubits) == name for name in get_args(Topology))
