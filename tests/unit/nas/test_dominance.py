"""Dominance of objectives with errors, and the front: a kernel that does not depend on the order of results."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.algorithms import contenders, hypervolume, non_dominated
from nas.algorithms.dominance import bars, dominates, fronts, is_contender, is_on_front, surely_dominates

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


def relation(losses: Losses, errors: Losses, which: Any = dominates) -> Any:
    found = bars(losses, errors)
    return which(found, found)


def has_circle(matrix: Any) -> bool:
    """Whether something dominates itself in some number of steps."""
    reach = matrix.astype(int)
    for _ in range(len(matrix)):
        reach = ((reach + reach @ matrix.astype(int)) > 0).astype(int)
    return bool(reach.diagonal().any())


@given(measured())
def test_sure_dominance_is_irreflexive_and_transitive(case: tuple[Losses, Losses]) -> None:
    matrix = relation(*case, surely_dominates)
    assert not matrix.diagonal().any()
    in_two_steps = (matrix.astype(int) @ matrix.astype(int)) > 0
    assert not (in_two_steps & ~matrix).any()


@given(measured())
def test_what_dominates_a_sure_dominator_dominates(case: tuple[Losses, Losses]) -> None:
    surely, matrix = relation(*case, surely_dominates), relation(*case)
    assert not (surely & ~matrix).any()
    assert not (((matrix.astype(int) @ surely.astype(int)) > 0) & ~matrix).any()


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
    assert non_dominated(losses, exact) == contenders(losses, exact) == non_dominated(losses)


@given(measured(), st.data())
def test_contenders_and_news_have_the_front_of_everything_in_any_order(
    case: tuple[Losses, Losses], data: st.DataObject
) -> None:
    losses, errors = case
    order = data.draw(st.permutations(range(len(losses))))

    def chosen(points: list[int], which: Any) -> list[int]:
        are_chosen = which([losses[i] for i in points], [errors[i] for i in points])
        return [i for i, is_chosen in zip(points, are_chosen, strict=True) if is_chosen]

    known: list[int] = []
    while order:
        n_news = data.draw(st.integers(1, len(order)))
        known, order = chosen([*known, *order[:n_news]], contenders), order[n_news:]
    assert sorted(chosen(known, non_dominated)) == chosen(list(range(len(losses))), non_dominated)


@given(measured())
def test_everything_off_the_front_is_dominated_by_a_member_of_it(case: tuple[Losses, Losses]) -> None:
    matrix, is_member = relation(*case), np.array(non_dominated(*case))
    assert is_member.any()
    assert (matrix[is_member].any(0) | is_member).all()


@given(measured())
def test_no_member_of_the_front_dominates_another_but_in_a_circle(case: tuple[Losses, Losses]) -> None:
    matrix, is_member = relation(*case), np.array(non_dominated(*case))
    among = matrix[np.ix_(is_member, is_member)]
    assert not among.any() or has_circle(among)


@given(measured())
def test_without_circles_the_front_is_the_one_kernel_of_all_candidates(case: tuple[Losses, Losses]) -> None:
    matrix = relation(*case)
    if has_circle(matrix):
        return

    def is_in(one: int) -> bool:
        return not any(matrix[other, one] and is_in(other) for other in range(len(matrix)))

    assert non_dominated(*case) == [is_in(one) for one in range(len(matrix))]


@given(measured())
def test_the_contenders_have_the_hypervolume_of_all_values(case: tuple[Losses, Losses]) -> None:
    losses, errors = case
    are_kept, by_values = contenders(losses, errors), non_dominated(losses)
    assert all(one for one, other in zip(are_kept, by_values, strict=True) if other)
    reference = (4.0,) * len(losses[0])
    kept = [one for one, is_kept in zip(losses, are_kept, strict=True) if is_kept]
    assert hypervolume(kept, reference) == pytest.approx(hypervolume(losses, reference))


@given(measured())
def test_each_further_front_is_that_of_what_the_earlier_ones_leave(case: tuple[Losses, Losses]) -> None:
    losses, errors = case
    left = list(range(len(losses)))
    for front in fronts(bars(losses, errors)):
        kept = non_dominated([losses[i] for i in left], [errors[i] for i in left])
        assert [i for i, is_kept in zip(left, kept, strict=True) if is_kept] == list(front)
        left = [i for i, is_kept in zip(left, kept, strict=True) if not is_kept]
    assert not left


def test_members_of_a_circle_are_on_the_front_together() -> None:
    # Each is ahead of the next by 1.5 in one objective and behind by less than the noise, 1, in the two others.
    circle = [(0.0, 1.5, 0.75), (0.75, 0.0, 1.5), (1.5, 0.75, 0.0)]
    errors = [(0.5, 0.5, 0.5)] * 4
    assert has_circle(relation(circle, errors[:3]))
    assert non_dominated([*circle, (9.0, 9.0, 9.0)], errors) == [True, True, True, False]
    assert non_dominated([*circle, (-9.0, -9.0, -9.0)], errors) == [False, False, False, True]


def test_a_circle_that_another_circle_dominates_is_off_the_front() -> None:
    # The second is far behind in three objectives, and nominally ahead in the fourth.
    circle = [(0.0, 1.5, 0.75), (0.75, 0.0, 1.5), (1.5, 0.75, 0.0)]
    losses = [*((a, b, c, 0.1) for a, b, c in circle), *((a + 9.0, b + 9.0, c + 9.0, 0.0) for a, b, c in circle)]
    errors = [(0.5,) * 4] * 6
    assert contenders(losses, errors) == [True] * 6
    assert non_dominated(losses, errors) == [True] * 3 + [False] * 3


def dominates_alone(one: Any, other: Any) -> bool:
    """Whether one (value, error) dominates another, in one objective."""
    return bool(relation([(one[0],), (other[0],)], [(one[1],), (other[1],)])[0, 1])


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


def test_more_gates_for_an_accuracy_that_is_higher_by_noise_alone_are_off_the_front() -> None:
    assert non_dominated([(2.0, -0.96), (4.0, -0.97), (4.0, -0.95)], [(0.0, 0.03)] * 3) == [True, False, False]


def test_the_most_accurate_stays_though_each_step_towards_it_is_within_the_noise() -> None:
    gates_and_accuracies = [(2.0, -0.92), (4.0, -0.96), (12.0, -1.00)]
    assert non_dominated(gates_and_accuracies, [(0.0, 0.03)] * 3) == [True, False, True]


def test_what_was_dropped_returns_when_what_dropped_it_is_dropped() -> None:
    known = [(2.0, -0.92), (4.0, -0.96)]
    assert non_dominated(known, [(0.0, 0.03)] * 2) == [True, False]
    assert contenders(known, [(0.0, 0.03)] * 2) == [True, True]
    assert non_dominated([*known, (1.0, -0.88)], [(0.0, 0.03)] * 3) == [False, True, True]


def test_circuits_at_the_noise_floor_of_expressibility_differ_in_trainability_alone() -> None:
    # Two Haar-like circuits, the nominally better of which has far smaller gradients.
    assert non_dominated([(-0.0035, 1.54), (-0.0022, 0.97)], [(0.0018, 0.008)] * 2) == [False, True]


def test_many_candidates_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    found = bars(rng.normal(size=(60, 2)), 0.1 * rng.uniform(size=(60, 2)))
    together = is_contender(found)
    monkeypatch.setattr("nas.algorithms.dominance._MAX_PAIRS", 200)
    assert (is_contender(found) == together).all()
    assert is_on_front(found).sum() <= together.sum() < 60
