"""Dominance of objectives with errors: a strict partial order, whose front does not depend on the order of results."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymoo.util.nds.fast_non_dominated_sort import fast_non_dominated_sort

from nas.algorithms import hypervolume, non_dominated
from nas.algorithms.dominance import bars, dominates, is_dominated, ranks

Losses = list[tuple[float, ...]]

# Few different values and errors, so that ties, touching bars and bars within bars are common.
VALUES = st.sampled_from([-1.5, -1.0, 0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0])
ERRORS = st.sampled_from([0.0, 0.0, 0.05, 0.1, 0.5, 1.0])


@st.composite
def measured(draw: st.DrawFn, *, least: int = 1, most: int = 12) -> tuple[Losses, Losses]:
    """Draws candidates' losses and standard errors."""
    n_objectives = draw(st.integers(1, 4))
    n = draw(st.integers(least, most))
    losses = st.lists(st.tuples(*[VALUES] * n_objectives), min_size=n, max_size=n)
    errors = st.lists(st.tuples(*[ERRORS] * n_objectives), min_size=n, max_size=n)
    return draw(losses), draw(errors)


def relation(losses: Losses, errors: Losses) -> Any:
    found = bars(losses, errors)
    return dominates(found, found)


@given(measured())
def test_dominance_is_irreflexive_and_transitive(case: tuple[Losses, Losses]) -> None:
    matrix = relation(*case)
    assert not matrix.diagonal().any()
    in_two_steps = (matrix.astype(int) @ matrix.astype(int)) > 0
    assert not (in_two_steps & ~matrix).any()


@given(measured())
def test_what_is_closer_than_the_error_of_the_difference_never_dominates(case: tuple[Losses, Losses]) -> None:
    losses, errors = (np.array(one) for one in case)
    difference = np.abs(losses[:, None] - losses[None])
    is_close = (difference <= np.hypot(errors[:, None], errors[None])).all(-1)
    assert not (relation(*case) & is_close).any()


@given(measured())
def test_without_errors_it_is_pareto_dominance(case: tuple[Losses, Losses]) -> None:
    losses, errors = case
    exact = [(0.0,) * len(one) for one in errors]
    assert non_dominated(losses, exact) == non_dominated(losses)


@given(measured(), st.data())
def test_the_front_of_the_front_and_news_is_that_of_everything_in_any_order(
    case: tuple[Losses, Losses], data: st.DataObject
) -> None:
    losses, errors = case
    order = data.draw(st.permutations(range(len(losses))))
    front: list[int] = []
    while order:
        n_news = data.draw(st.integers(1, len(order)))
        points, order = [*front, *order[:n_news]], order[n_news:]
        kept = non_dominated([losses[i] for i in points], [errors[i] for i in points])
        front = [i for i, is_kept in zip(points, kept, strict=True) if is_kept]
    everything = non_dominated(losses, errors)
    assert sorted(front) == [i for i, is_kept in enumerate(everything) if is_kept]


@given(measured())
def test_everything_off_the_front_is_dominated_by_a_member_of_it(case: tuple[Losses, Losses]) -> None:
    matrix, is_on_front = relation(*case), np.array(non_dominated(*case))
    assert (matrix[is_on_front].any(0) == ~is_on_front).all()


@given(measured())
def test_the_front_contains_that_of_the_values_and_has_its_hypervolume(case: tuple[Losses, Losses]) -> None:
    losses, errors = case
    with_noise, by_values = non_dominated(losses, errors), non_dominated(losses)
    assert all(one for one, other in zip(with_noise, by_values, strict=True) if other)
    reference = (4.0,) * len(losses[0])
    volumes = [
        hypervolume([one for one, is_kept in zip(losses, kept, strict=True) if is_kept], reference)
        for kept in (with_noise, by_values)
    ]
    assert volumes[0] == pytest.approx(volumes[1])


class OurDominator:
    """The relation in the form of pymoo's dominators: 1, 0 or -1 for each pair."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix.astype(int)

    def calc_domination_matrix(self, _losses: Any) -> Any:
        return self._matrix - self._matrix.T


@given(measured())
def test_ranks_are_those_of_fast_non_dominated_sorting(case: tuple[Losses, Losses]) -> None:
    found = ranks(bars(*case))
    fronts = fast_non_dominated_sort(np.array(case[0]), dominator=OurDominator(relation(*case)))
    for rank, front in enumerate(fronts):
        assert sorted(front) == list(np.flatnonzero(found == rank))


def dominates_alone(one: Any, other: Any) -> bool:
    """Whether one (value, error) dominates another, in one objective."""
    found = bars([(one[0],), (other[0],)], [(one[1],), (other[1],)])
    return bool(dominates(found, found)[0, 1])


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0.0, 0.5), (1.0, 0.5), False),  # the bars touch
        ((0.0, 0.5), (1.25, 0.5), True),
        ((0.0, 0.5), (0.75, 0.0), True),
        ((0.0, 0.5), (0.25, 0.0), False),
        ((0.0, 0.0), (0.25, 0.0), True),
        ((0.0, 0.0), (0.0, 0.0), False),
    ],
)
def test_one_objective_dominates_where_the_bars_lie_apart(one: Any, other: Any, expected: bool) -> None:
    assert dominates_alone(one, other) is expected


def test_the_most_accurate_stays_though_each_step_towards_it_is_within_the_noise() -> None:
    gates_and_accuracies = [(2.0, -0.92), (4.0, -0.96), (12.0, -1.00)]
    assert non_dominated(gates_and_accuracies, [(0.0, 0.03)] * 3) == [True, True, True]


def test_fewer_gates_at_no_lower_accuracy_dominate() -> None:
    assert non_dominated([(2.0, -0.96), (4.0, -0.96), (4.0, -0.95)], [(0.0, 0.03)] * 3) == [True, False, False]


def test_many_candidates_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    found = bars(rng.normal(size=(60, 2)), 0.1 * rng.uniform(size=(60, 2)))
    together = is_dominated(found)
    monkeypatch.setattr("nas.algorithms.dominance._MAX_PAIRS", 200)
    assert (is_dominated(found) == together).all()
