"""Genomes are canonical, and a space gives only what it contains."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import specs

from nas.space import Genome, NotInSpace, Options, SearchSpace
from nas.space.layout import edges
from nas.spec import InvalidSpec, SearchSpec, parse_spec


@given(specs(), st.integers(0, 2**32 - 1))
def test_a_space_contains_what_it_draws(spec: SearchSpec, seed: int) -> None:
    space = SearchSpace.from_spec(spec)
    genome = space.sample(np.random.default_rng(seed))
    assert space.contains(genome) is not space.forbids(genome)


@given(specs(), st.integers(0, 2**32 - 1))
def test_whatever_genes_without_effect_are_the_genome_is_the_same(spec: SearchSpec, seed: int) -> None:
    space, rng = SearchSpace.from_spec(spec), np.random.default_rng(seed)
    genome = space.sample(rng)
    assert space.decode(space.encode(genome)) == space.decode(space.encode(genome, rng=rng)) == genome


@given(specs(), st.integers(0, 2**32 - 1))
def test_a_genome_survives_its_json(spec: SearchSpec, seed: int) -> None:
    genome = SearchSpace.from_spec(spec).sample(np.random.default_rng(seed))
    assert Genome.from_json(genome.to_json()) == genome


def genome(**changes: Any) -> Genome:
    genes: dict[str, Any] = {
        "qubits": 4,
        "layers": 2,
        "encoding": "angle-y",
        "reuploading": False,
        "rotations": [["ry"], ["ry"]],
        "entangler": ["cnot", "cnot"],
        "topology": ["linear", "linear"],
        "observable": "z-all",
        "pre_layers": [],
        "post_layers": [],
        "learning_rate": 0.01,
    }
    return Genome.canonical(**{**genes, **changes})


SAME = [
    ({"topology": ["none", "none"], "entangler": ["cz", "crx"]}, {"topology": ["none", "none"]}),
    ({"qubits": 2, "topology": ["ring", "star"]}, {"qubits": 2}),
    ({"qubits": 3, "topology": ["pairwise", "linear"]}, {"qubits": 3}),
    ({"qubits": 1, "topology": ["full", "ring"], "entangler": ["cz", "cz"]}, {"qubits": 1}),
    ({"qubits": 1, "encoding": "iqp"}, {"qubits": 1, "encoding": "angle-z"}),
    ({"qubits": 1, "observable": "zz-pairs"}, {"qubits": 1}),
    ({"encoding": "amplitude", "reuploading": True}, {"encoding": "amplitude"}),
    ({"layers": 1, "reuploading": True}, {"layers": 1}),
    ({"layers": 1, "rotations": [["ry"], ["rx"]]}, {"layers": 1}),
    ({"learning_rate": 0.01 + 1e-12}, {}),
    ({"template": "layered"}, {}),
    ({"template": "sim-3", "rotations": [["rx"], ["rz"]]}, {"template": "sim-3"}),
    ({"template": "sim-3", "topology": ["full", "none"]}, {"template": "sim-3"}),
    ({"template": "sim-3", "entangler": ["crx", "cz"]}, {"template": "sim-3"}),
    ({"template": "sim-3", "rotations": [], "entangler": [], "topology": []}, {"template": "sim-3"}),
    ({"template": "sim-4", "qubits": 1}, {"template": "sim-1", "qubits": 1}),
    ({"template": "sim-17", "qubits": 2}, {"template": "sim-4", "qubits": 2}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_spellings_of_one_architecture_have_one_digest(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert genome(**one).digest == genome(**other).digest


DIFFERENT = [
    {"qubits": 3},
    {"topology": ["ring", "linear"]},
    {"rotations": [["ry"], ["rz"]]},
    {"entangler": ["cnot", "cz"]},
    {"reuploading": True},
    {"observable": "z-first"},
    {"pre_layers": [4]},
    {"post_layers": [4]},
    {"learning_rate": 0.011},
    {"template": "sim-1"},
]


@pytest.mark.parametrize("change", DIFFERENT)
def test_a_gene_with_an_effect_changes_the_digest(change: dict[str, Any]) -> None:
    assert genome(**change).digest != genome().digest


def test_a_layered_genome_keeps_its_json_and_its_digest_of_before_there_were_templates() -> None:
    assert "template" not in genome().to_json()
    assert genome().digest == "addcbfe067fb2079c759366a9cdebaca53292f322cfbcc42b8b1b63057eaa6b5"


def test_a_template_without_layered_beside_it_leaves_no_variable_for_layers() -> None:
    space = {"qubits": [2, 3], "layers": [1, 2], "rotations": [["ry"], ["rx"]], "entangler": ["cz", "cnot"]}
    space |= {"topology": ["ring", "full"], "template": ["sim-1", "sim-2"], "per_layer": ["topology"]}
    spec = parse_spec(
        {"name": "t", "dataset": {"name": "iris"}, "space": space, "objectives": [{"metric": "expressibility"}]}
    )
    assert [variable.key for variable in SearchSpace.from_spec(spec).variables] == ["qubits", "layers", "template"]


def test_a_gene_without_effect_anywhere_is_no_variable() -> None:
    def variables(**space: Any) -> set[str]:
        genes = {"qubits": [2, 3], "layers": [1, 2], "entangler": ["cz", "cnot"], "reuploading": [False, True]}
        document = {"name": "t", "dataset": {"name": "iris"}, "objectives": [{"metric": "expressibility"}]}
        spec = parse_spec({**document, "space": {**genes, **space}})
        return {variable.key for variable in SearchSpace.from_spec(spec).variables}

    assert variables() == {"qubits", "layers", "entangler", "reuploading"}
    assert variables(topology="none") == {"qubits", "layers", "reuploading"}
    assert variables(qubits=1, topology=["none", "ring"]) == {"layers", "reuploading"}
    assert variables(layers=1) == {"qubits", "entangler"}
    assert variables(encoding="amplitude") == {"qubits", "layers", "entangler"}


def test_offspring_of_templates_get_any_option_of_the_genes_that_had_no_effect() -> None:
    space = {"qubits": 3, "layers": 2, "template": ["sim-1", "layered"], "topology": ["linear", "ring", "full"]}
    spec = parse_spec(
        {"name": "t", "dataset": {"name": "iris"}, "space": space, "objectives": [{"metric": "expressibility"}]}
    )
    found, rng = SearchSpace.from_spec(spec), np.random.default_rng(0)
    points = [found.encode(genome(qubits=3, template="sim-1", learning_rate=None), rng=rng) for _ in range(50)]
    assert {point["topology"] for point in points} == {0, 1, 2}


def test_a_genome_outside_the_space_is_not_contained() -> None:
    spec = parse_spec(
        {
            "name": "narrow",
            "dataset": {"name": "iris"},
            "space": {"qubits": [2, 3], "layers": 2, "rotations": ["ry"]},
            "objectives": [{"metric": "validation_accuracy"}],
        }
    )
    space = SearchSpace.from_spec(spec)
    assert space.contains(genome(qubits=3))
    with pytest.raises(NotInSpace):
        space.encode(genome(qubits=4))


def layers_of(layers: Any) -> tuple[int, ...]:
    document = {"name": "t", "dataset": {"name": "iris"}, "objectives": [{"metric": "gates"}]}
    spec = parse_spec({**document, "space": {"qubits": 2, "layers": layers}})
    gene = SearchSpace.from_spec(SearchSpec.model_validate(spec.model_dump(mode="json"))).genes["layers"]
    assert isinstance(gene, Options)
    return gene.values


@pytest.mark.parametrize(
    ("written", "values"),
    [
        (3, (3,)),
        ([4, 1], (1, 4)),
        ({"min": 2, "max": 4}, (2, 3, 4)),
        ([1, {"min": 7, "max": 8}, 3, {"min": 5, "max": 5}], (1, 3, 5, 7, 8)),
    ],
)
def test_whole_numbers_are_a_value_choices_a_range_or_choices_with_ranges(
    written: Any, values: tuple[int, ...]
) -> None:
    assert layers_of(written) == values


@pytest.mark.parametrize(
    ("written", "path", "reason"),
    [
        ([1, {"min": 1, "max": 3}], "space.layers", "1 stands twice"),
        ([1, {"min": 9, "max": 3}], "space.layers.1", "min 9 is above max 3"),
        ([1, {"min": 9}], "space.layers.1.max", "is required"),
        ([{"min": 1, "max": 200}, {"min": 300, "max": 400}], "space.layers", "at most 256 choices"),
    ],
)
def test_choices_with_ranges_that_make_no_sense_are_refused(written: Any, path: str, reason: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        layers_of(written)
    (problem,) = refused.value.problems
    assert (problem.path, reason in problem.message) == (path, True)


def test_without_training_the_learning_rate_is_no_gene() -> None:
    spec = parse_spec(
        {
            "name": "pure",
            "dataset": {"name": "iris"},
            "space": {"qubits": 4, "layers": 2, "learning_rate": [0.1, 0.01]},
            "objectives": [{"metric": "expressibility"}],
        }
    )
    space = SearchSpace.from_spec(spec)
    assert space.variables == ()
    assert space.sample(np.random.default_rng(0)).learning_rate is None


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        ("none", ()),
        ("linear", ((0, 1), (1, 2), (2, 3))),
        ("ring", ((0, 1), (1, 2), (2, 3), (3, 0))),
        ("star", ((0, 1), (0, 2), (0, 3))),
        ("full", ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))),
        ("pairwise", ((0, 1), (2, 3), (1, 2))),
    ],
)
def test_topologies_at_four_qubits(topology: str, expected: tuple[tuple[int, int], ...]) -> None:
    assert edges(topology, 4) == expected
