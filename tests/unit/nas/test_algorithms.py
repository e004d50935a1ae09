"""NSGA-II: what is proposed is valid and new, and the same seed proposes the same."""

import hashlib
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import specs

from nas.algorithms import Member, hypervolume, non_dominated, propose, reference_point, select
from nas.algorithms import generation as generation_module
from nas.algorithms.drawing import every_genome
from nas.algorithms.generation import is_allowed
from nas.circuits import Architecture
from nas.space import Genome, SearchSpace
from nas.spec import SearchSpec, parse_spec
from nas.spec.genes import FloatRange
from nas.spec.grid import n_points


def measured(genome: Genome) -> Member:
    """Returns a made-up outcome that depends on the genome alone: some fail, some are infeasible."""
    a, b, c = hashlib.sha256(genome.digest.encode()).digest()[:3]
    return Member(genome, None if c < 20 else (a / 255, b / 255), 1.0 if 20 <= c < 40 else 0.0)


def run(spec: SearchSpec) -> list[list[Genome]]:
    """Returns the genomes of each generation."""
    generations: list[list[Genome]] = []
    survivors: list[Member] = []
    seen: set[str] = set()
    for generation in range(spec.n_generations):
        genomes = propose(spec, generation=generation, survivors=survivors, seen=seen, n_proposed=len(seen))
        if not genomes:
            break
        generations.append(genomes)
        seen |= {genome.digest for genome in genomes}
        members = [*survivors, *map(measured, genomes)]
        survivors = [members[i] for i in select(spec, generation=generation, members=members)]
    return generations


@settings(max_examples=40)
@given(specs(), st.sampled_from(["nsga2", "random"]))
def test_no_genome_is_proposed_twice_and_each_is_valid(spec: SearchSpec, name: Any) -> None:
    spec = spec.model_copy(update={"algorithm": spec.algorithm.model_copy(update={"name": name})})
    space = SearchSpace.from_spec(spec)
    proposed = [genome for generation in run(spec) for genome in generation]
    assert len({genome.digest for genome in proposed}) == len(proposed)
    assert all(space.contains(genome) and is_allowed(spec, genome) for genome in proposed)
    assert all(Genome.from_json(genome.to_json()) == genome for genome in proposed)
    assert all(Architecture.build(genome, spec).circuit.operations for genome in proposed)


def test_crossover_and_mutation_act_per_layer() -> None:
    space = {"qubits": 3, "layers": 6, "topology": ["linear", "ring"], "entangler": ["cnot", "cz"]}
    spec = a_spec(space={**space, "per_layer": ["topology", "entangler"]})
    found = SearchSpace.from_spec(spec)

    def parent(option: int) -> Member:
        genome = found.decode({variable.key: option for variable in found.variables})
        return Member(genome, (float(option), 1.0 - option), 0.0)

    parents = [parent(0), parent(1)]
    children = propose(
        spec, generation=1, survivors=parents, seen={p.genome.digest for p in parents}, n_proposed=len(parents)
    )
    assert len(children) == 20
    assert all(any(len(set(child.topology[i:])) == 2 for child in children) for i in range(5))
    # The two genes of one layer come from different parents as well.
    assert {("linear", "cz"), ("ring", "cnot")} <= {
        pair for child in children for pair in zip(child.topology, child.entangler, strict=True)
    }


def test_offspring_of_a_template_and_a_layered_circuit_are_of_both_kinds() -> None:
    space = {"qubits": [3, 4], "layers": {"min": 1, "max": 4}, "template": ["layered", "sim-4"]}
    space |= {"topology": ["linear", "ring"], "rotations": [["ry"], ["rx"]], "encoding": ["angle-x", "angle-y"]}
    spec = a_spec(space={**space, "per_layer": ["topology", "rotations"]})
    found, rng = SearchSpace.from_spec(spec), np.random.default_rng(1)
    drawn = [found.sample(rng) for _ in range(8)]
    parents = [Member(genome, (float(i), float(-i)), 0.0) for i, genome in enumerate(drawn)]
    children = propose(spec, generation=1, survivors=parents, seen={g.digest for g in drawn}, n_proposed=len(drawn))
    assert {child.template for child in children} == {"layered", "sim-4"}
    assert all(not child.topology for child in children if child.template == "sim-4")
    assert all(len(child.topology) == child.layers for child in children if child.template == "layered")


@settings(max_examples=10)
@given(specs())
def test_the_same_seed_proposes_the_same(spec: SearchSpec) -> None:
    assert run(spec) == run(spec)


def a_spec(**changes: Any) -> SearchSpec:
    return parse_spec(
        {
            "name": "test",
            "dataset": {"name": "iris"},
            "space": {
                "qubits": {"min": 2, "max": 6},
                "layers": {"min": 1, "max": 6},
                "topology": ["none", "linear", "ring", "full"],
                "learning_rate": {"min": 1e-3, "max": 0.1, "log": True},
            },
            "objectives": [{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}],
            "algorithm": {"population": 20, "generations": 15},
            **changes,
        }
    )


def test_another_seed_proposes_others() -> None:
    one, other = (a_spec(algorithm={"population": 20, "generations": 1, "seed": seed}) for seed in (1, 2))
    assert run(one) != run(other)


def test_a_static_constraint_is_never_broken_by_a_proposal() -> None:
    spec = a_spec(constraints=[{"metric": "two_qubit_gates", "at_most": 6}])
    assert all(is_allowed(spec, genome) for generation in run(spec) for genome in generation)
    assert not all(is_allowed(spec, genome) for generation in run(a_spec()) for genome in generation)


def test_a_space_that_no_genome_satisfies_proposes_nothing() -> None:
    spec = a_spec(constraints=[{"metric": "gates", "at_most": 1}])
    assert propose(spec, generation=0, survivors=[], seen=set(), n_proposed=0) == []


def test_a_large_space_that_no_genome_satisfies_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    genuine = generation_module.static_values
    monkeypatch.setattr(generation_module, "static_values", lambda *some: built.append(1) or genuine(*some))
    monkeypatch.setattr(generation_module, "_MAX_REFUSED_OPERATIONS", 30_000)
    space = {"qubits": {"min": 2, "max": 12}, "layers": {"min": 1, "max": 16}, "topology": ["full", "ring"]}
    spec = a_spec(
        space={**space, "learning_rate": {"min": 0.01, "max": 0.1}},
        constraints=[{"metric": "gates", "at_most": 1}],
        algorithm={"population": 2000},
    )
    assert propose(spec, generation=0, survivors=[], seen=set(), n_proposed=0) == []
    assert len(built) < 200


def test_a_small_space_is_proposed_to_the_last_genome() -> None:
    spec = a_spec(space={"qubits": {"min": 2, "max": 8}, "layers": {"min": 1, "max": 16}})
    assert sum(map(len, run(spec))) == 7 * 16


GRID: dict[str, Any] = {
    "space": {
        "qubits": {"min": 1, "max": 3},
        "layers": [2, 1],
        "topology": ["ring", "none", "linear"],
        "entangler": ["cz", "cnot"],
        "learning_rate": {"min": 0.001, "max": 0.1, "log": True, "points": 3},
    },
    "algorithm": {"name": "grid", "population": 8},
}


def test_a_grid_is_every_architecture_once_in_the_order_of_its_points() -> None:
    generations = run(a_spec(**GRID))
    found = [genome for generation in generations for genome in generation]
    assert {len(generation) for generation in generations[:-1]} == {8}
    # One qubit has no entangler, two have one wiring, and the gate of a missing entangler has no effect.
    wirings = {1: ["none"], 2: ["none", "linear"], 3: ["none", "linear", "ring"]}
    expected = {
        (qubits, layers, topology, None if topology == "none" else gate, rate)
        for qubits, layers, gate, rate in itertools.product([1, 2, 3], [1, 2], ["cz", "cnot"], [0.001, 0.01, 0.1])
        for topology in wirings[qubits]
    }
    points = [(g.qubits, g.layers, g.topology[0], g.entangler[0], g.learning_rate) for g in found]
    assert len(points) == len(set(points))
    assert set(points) == expected
    assert [point[:2] for point in points] == sorted(point[:2] for point in points)
    # The entangler is the slower gene, and values stand in the order written: the ring with cz comes first.
    assert [point[2:] for point in points if point[:2] == (3, 1)][:4] == [
        ("ring", "cz", 0.001), ("ring", "cz", 0.01), ("ring", "cz", 0.1), ("none", None, 0.001)
    ]  # fmt: skip


def test_a_grid_with_genes_of_layers_is_every_architecture_once() -> None:
    space = {"qubits": 2, "layers": [1, 2, 3], "entangler": ["cz", "cnot"], "per_layer": ["entangler"]}
    spec = a_spec(space=space, algorithm={"name": "grid"})
    assert sum(map(len, run(spec))) == spec.n_planned == 2 + 4 + 8


def test_a_grid_leaves_out_what_breaks_a_bound_on_exact_costs() -> None:
    constraints = [{"metric": "two_qubit_gates", "at_most": 2}]
    every = [genome for generation in run(a_spec(**GRID)) for genome in generation]
    spec = a_spec(**GRID, constraints=constraints)
    allowed = [genome for genome in every if is_allowed(spec, genome)]
    assert 0 < len(allowed) < len(every)
    assert [genome for generation in run(spec) for genome in generation] == allowed


def test_a_grid_is_cut_by_the_budget_after_its_first_points() -> None:
    every = [genome for generation in run(a_spec(**GRID)) for genome in generation]
    cut = [genome for generation in run(a_spec(**GRID, budget={"evaluations": 13})) for genome in generation]
    assert cut == every[:13]


@given(specs())
def test_the_size_of_a_grid_is_never_below_the_number_of_its_points(spec: SearchSpec) -> None:
    rate = spec.space.learning_rate
    if isinstance(rate, FloatRange):
        spec = spec.model_copy(update={"space": spec.space.model_copy(update={"learning_rate": 0.1})})
    size = n_points(spec.space, has_training=spec.has_training)
    few = 500  # genes without effect and forbidden combinations are counted, and no points
    assert sum(1 for _ in itertools.islice(every_genome(SearchSpace.from_spec(spec)), few)) <= size


def test_the_size_of_a_grid_is_the_number_of_its_points_where_every_gene_has_an_effect() -> None:
    space = {
        "qubits": [3, 4],
        "layers": [1, 3],
        "rotations": [["ry"], ["rx", "rz"]],
        "topology": ["linear", "ring"],
        "per_layer": ["topology"],
    }
    spec = a_spec(space={**space, "learning_rate": {"min": 0.01, "max": 0.1, "points": 3}}, algorithm={"name": "grid"})
    # Widths, rotations and rates, times topologies of one layer and of three.
    size = 2 * 2 * 3 * (2 + 2**3)
    assert n_points(spec.space, has_training=spec.has_training) == size
    assert sum(1 for _ in every_genome(SearchSpace.from_spec(spec))) == size


def test_a_budget_is_not_exceeded_by_one_candidate() -> None:
    assert [len(generation) for generation in run(a_spec(budget={"evaluations": 50}))] == [20, 20, 10]


def test_nsga2_gets_further_than_random_draws() -> None:
    # A smooth made-up landscape: low learning rates and many layers are good; the front is a curve between them.
    def landscape(genome: Genome) -> Member:
        assert genome.learning_rate is not None
        return Member(genome, (abs(np.log10(genome.learning_rate) + 2.5) + genome.qubits, 7.0 - genome.layers), 0.0)

    def best(name: str) -> float:
        spec = a_spec(algorithm={"name": name, "population": 20, "generations": 10})
        survivors: list[Member] = []
        found: list[Member] = []
        for generation in range(10):
            genomes = propose(
                spec,
                generation=generation,
                survivors=survivors,
                seen={member.genome.digest for member in found},
                n_proposed=len(found),
            )
            new = [landscape(genome) for genome in genomes]
            found += new
            members = [*survivors, *new]
            survivors = [members[i] for i in select(spec, generation=generation, members=members)]
        return hypervolume([member.losses for member in found if member.losses], (10.0, 7.0))

    assert best("nsga2") > best("random")


def test_survivors_are_feasible_before_failed() -> None:
    spec = a_spec(algorithm={"population": 4})
    space, rng = SearchSpace.from_spec(spec), np.random.default_rng(0)
    members = [Member(space.sample(rng), None, 0.0) for _ in range(4)]
    members += [Member(space.sample(rng), (5.0 + i, 5.0 - i), 0.0) for i in range(3)]
    members += [Member(space.sample(rng), (0.0, 0.0), 2.0)]
    assert select(spec, generation=0, members=members)[-4:] == [4, 5, 6, 7]


def crowded_and_noisy(spec: SearchSpec) -> list[Member]:
    """Two ends, two neighbours between, and one that a neighbour is ahead of in both, by less than the noise."""
    space, rng = SearchSpace.from_spec(spec), np.random.default_rng(0)
    losses = [(-5.0, 15.0), (15.0, -5.0), (5.0, 5.0), (5.05, 4.95), (5.5, 8.5)]
    return [Member(space.sample(rng), one, 0.0, std_errors=(2.0, 2.0)) for one in losses]


def test_a_candidate_behind_by_less_than_the_noise_has_the_rank_of_the_best() -> None:
    spec = a_spec(algorithm={"population": 4})
    assert 4 in select(spec, generation=0, members=crowded_and_noisy(spec))


def test_noise_can_be_ignored_in_the_selection() -> None:
    spec = a_spec(algorithm={"population": 4, "noise": "ignore"})
    assert select(spec, generation=0, members=crowded_and_noisy(spec)) == [0, 1, 2, 3]


def test_noise_of_infeasible_and_failed_members_does_no_harm() -> None:
    spec = a_spec(algorithm={"population": 4})
    members = crowded_and_noisy(spec)
    space, rng = SearchSpace.from_spec(spec), np.random.default_rng(1)
    members[1:1] = [Member(space.sample(rng), None, 0.0), Member(space.sample(rng), (0.0, 0.0), 1.0, (2.0, 2.0))]
    assert not {1, 2} & set(select(spec, generation=0, members=members))


def test_a_noisy_search_proposes_from_its_survivors() -> None:
    spec = a_spec()
    first = propose(spec, generation=0, survivors=[], seen=set(), n_proposed=0)
    noisy = [Member(genome, (float(i), float(-i)), 0.0, (2.0, 2.0)) for i, genome in enumerate(first)]
    seen = {genome.digest for genome in first}
    assert len(propose(spec, generation=1, survivors=noisy, seen=seen, n_proposed=len(seen))) == 20


def test_non_dominated_keeps_equal_points() -> None:
    assert non_dominated([(1.0, 2.0), (1.0, 2.0), (2.0, 2.0), (2.0, 1.0)]) == [True, True, False, True]


def test_hypervolume_of_two_boxes() -> None:
    # [0, 3] x [2, 3] and [1, 3] x [0, 3] up to (3, 3): 3 + 6 - 2.
    assert hypervolume([(0.0, 2.0), (1.0, 0.0)], (3.0, 3.0)) == pytest.approx(7.0)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume([(4.0, 0.0)], (3.0, 3.0)) == 0.0


def test_the_reference_point_is_worse_than_every_point() -> None:
    assert reference_point([(0.0, 5.0), (10.0, 5.0)]) == (11.0, 5.1)
