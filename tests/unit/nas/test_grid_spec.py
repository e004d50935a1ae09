"""What a spec may say of a grid."""

from typing import Any

import pytest

from nas.space import SearchSpace
from nas.spec import InvalidSpec, Problem, SearchSpec, parse_spec

RANGE = {"min": 0.001, "max": 0.1, "log": True}


def document(**changes: Any) -> dict[str, Any]:
    return {
        "name": "grid",
        "dataset": {"name": "iris"},
        "space": {"qubits": [2, 3], "layers": {"min": 1, "max": 4}},
        "objectives": [{"metric": "validation_accuracy"}],
        "algorithm": {"name": "grid"},
        **changes,
    }


def a_grid(**changes: Any) -> SearchSpec:
    return parse_spec(document(**changes))


def problems(**changes: Any) -> tuple[Problem, ...]:
    with pytest.raises(InvalidSpec) as refused:
        a_grid(**changes)
    return refused.value.problems


def a_space(**genes: Any) -> dict[str, Any]:
    return {"qubits": [2, 3], "layers": [1, 2], **genes}


def test_a_grid_plans_its_points_and_the_generations_that_they_fill() -> None:
    spec = a_grid(algorithm={"name": "grid", "population": 5})
    assert (spec.n_planned, spec.n_generations) == (8, 2)


def test_a_grid_with_generations_is_refused() -> None:
    (problem,) = problems(algorithm={"name": "grid", "generations": 3})
    assert problem.path == "algorithm.generations"
    assert "as many generations as its points fill" in problem.message


def test_a_stored_grid_is_read_again() -> None:
    spec = a_grid()
    stored = spec.model_dump(mode="json")
    assert "generations" not in stored["algorithm"]
    assert parse_spec(stored) == spec


def test_another_algorithm_keeps_its_generations_when_stored() -> None:
    stored = a_grid(algorithm={"name": "nsga2"}).model_dump(mode="json")
    assert stored["algorithm"]["generations"] == 25


def test_a_grid_over_all_real_numbers_is_refused() -> None:
    (problem,) = problems(space=a_space(learning_rate=RANGE))
    assert problem.path == "space.learning_rate"
    assert "add 'points'" in problem.message


def test_a_grid_that_trains_nothing_has_no_learning_rates() -> None:
    spec = a_grid(space=a_space(learning_rate=RANGE), objectives=[{"metric": "expressibility"}])
    assert spec.n_planned == 4


@pytest.mark.parametrize(
    ("gene", "expected"),
    [
        ({**RANGE, "points": 3}, (0.001, 0.01, 0.1)),
        ({"min": 0.1, "max": 0.3, "points": 3}, (0.1, 0.2, 0.3)),
        ({"min": 0.1, "max": 0.1, "points": 3}, (0.1,)),
    ],
)
def test_points_of_a_range_are_spread_evenly_with_both_ends(gene: dict[str, Any], expected: tuple[float, ...]) -> None:
    spec = a_grid(space=a_space(learning_rate=gene), algorithm={"name": "grid", "population": 100})
    assert spec.n_planned == 4 * len(expected)
    rates = SearchSpace.from_spec(spec).genes["learning_rate"].values
    assert rates == pytest.approx(expected)


def test_a_grid_larger_than_the_bound_is_refused_with_its_size() -> None:
    space = a_space(layers=list(range(1, 11)), topology=["none", "linear"], per_layer=["topology"])
    (problem,) = problems(space={**space, "rotations": [["rx"], ["ry"], ["rz"]], "observable": ["z-all", "z-first"]})
    assert problem.path == "space"
    assert "the grid has 24,552 points, and a grid search goes through at most 20,000" in problem.message


def test_a_budget_cuts_a_grid_that_is_larger_than_the_bound() -> None:
    space = a_space(layers=list(range(1, 41)), topology=["none", "linear"], per_layer=["topology"])
    assert a_grid(space=space, budget={"evaluations": 30}).n_planned == 30
    assert problems(space=space, budget={"evaluations": 30_000})[0].path == "space"


def test_a_list_of_modes_is_one_search_each() -> None:
    (problem,) = problems(training={"mode": ["pure-quantum", "full-hybrid"]})
    assert problem.path == "training.mode"
    assert "`hqnas sweep` submits a search for each" in problem.message
