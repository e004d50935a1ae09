"""Statistics of a confirmation: closed forms, second implementations, a planted advantage and a planted tie."""

import itertools
import math
import re

import numpy as np
import pytest
from scipy import stats

from nas.confirmation.report import report, verdict
from nas.confirmation.statistics import holm, interval, paired_test

ROUNDING = 1e-12

#: 400 confirmations without any effect, each falsely claiming one in 5 % at most: mean 20, standard deviation 4.4; four
#: of them above the mean is exceeded once in 30,000.
N_NULL, MOST_FALSE_CLAIMS = 400, 38


def trials(values):
    return [{"seed": seed, "test_accuracy": value, "error": None} for seed, value in enumerate(values)]


def result(candidate, *, frozen=None, unentangled=None, classical=None, goal="maximize"):
    """A member's scores by seed; a control that is not given is void."""
    controls = {"frozen_circuit": frozen, "no_entanglement": unentangled, "classical_net": classical}
    arms = {name: {"is_void": values is None, "trials": trials(values or ())} for name, values in controls.items()}
    return {
        "metric": {"name": "test_accuracy", "goal": goal, "bounds": [0.0, 1.0]},
        "arms": {"candidate": {"is_void": False, "trials": trials(candidate)}, **arms},
    }


def scores(mean, *, n=5, spread=0.01, seed=0):
    return list(np.random.default_rng(seed).normal(mean, spread, n))


def comparison(found, control, member=0):
    return next(one for one in found["members"][member]["comparisons"] if one["control"] == control)


def test_an_interval_is_students():
    found = interval([1.0, 2.0, 3.0])
    half = 4.302652729911275 / math.sqrt(3.0)  # t(0.975, 2) from a table, s = 1
    assert (found.mean, found.n) == (2.0, 3)
    assert (found.low, found.high) == (pytest.approx(2.0 - half), pytest.approx(2.0 + half))


def test_an_interval_of_a_share_ends_where_shares_end():
    found = interval([1.0, 0.9, 1.0], bounds=(0.0, 1.0))
    assert (found.high, found.low < found.mean) == (1.0, True)


def test_one_value_has_no_interval():
    assert (interval([0.5]).low, interval([0.5]).high) == (None, None)


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(1)
    holding = 0
    for _ in range(1_000):
        found = interval(list(rng.normal(0.7, 0.1, 5)))
        holding += found.low < 0.7 < found.high
    assert abs(holding - 950) < 4 * 6.9  # four standard deviations of a binomial count, 1 in 16,000


def test_the_paired_test_is_scipys():
    first, second = scores(0.9), scores(0.88, seed=1)
    found = paired_test(first, second)
    assert found.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue, rel=ROUNDING)
    assert found.difference.mean == pytest.approx(np.mean(first) - np.mean(second))


@pytest.mark.parametrize("n", [3, 5, 8])
def test_the_exact_test_counts_out_all_signs(n):
    first, second = scores(0.9, n=n), scores(0.895, n=n, seed=1)
    differences = np.subtract(first, second)
    means = [abs(np.mean(differences * signs)) for signs in itertools.product((-1, 1), repeat=n)]
    expected = np.mean([mean >= abs(differences.mean()) - ROUNDING for mean in means])
    assert paired_test(first, second).p_exact == pytest.approx(expected)


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_exact_test_says_how_small_it_can_get(n):
    found = paired_test(scores(0.9, n=n), scores(0.1, n=n))
    assert found.p_exact == found.smallest_p_exact == 2 / 2**n


def test_equal_differences_are_left_to_the_exact_test():
    found = paired_test([0.9, 0.8, 0.7, 0.9, 0.8], [0.8, 0.7, 0.6, 0.8, 0.7])
    assert (found.test, found.p_value) == ("exact sign flips", 2 / 2**5)


def test_arms_that_never_differ_are_a_tie():
    found = paired_test([0.9, 0.8, 0.7], [0.9, 0.8, 0.7])
    assert (found.p_value, found.difference.mean) == (1.0, 0.0)


def test_two_pairs_are_too_few():
    with pytest.raises(ValueError, match="needs 3 pairs"):
        paired_test([0.9, 0.8], [0.9, 0.8])


def test_holm_adjusts_as_in_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_of_one_changes_nothing_and_none_exceeds_one():
    assert holm([0.3]) == [0.3]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_planted_advantage_is_found():
    found = report([result(scores(0.95), frozen=scores(0.80, seed=1), classical=scores(0.85, seed=2))])
    assert {one["verdict"] for one in found["members"][0]["comparisons"]} == {"better"}
    assert "better than its classical control by 0.1" in found["members"][0]["sentence"]


def test_a_planted_tie_is_not_claimed():
    found = report([result(scores(0.95, seed=3), frozen=scores(0.95, seed=4), classical=scores(0.95, seed=5))])
    assert {one["verdict"] for one in found["members"][0]["comparisons"]} == {"no better"}
    assert re.search(r"no better than its classical control, p = [01]", found["members"][0]["sentence"])


def test_a_planted_disadvantage_is_told():
    found = report([result(scores(0.80), classical=scores(0.95, seed=1))])
    assert "worse than its classical control by 0.1" in found["members"][0]["sentence"]


def test_where_nothing_differs_few_confirmations_claim_anything():
    rng = np.random.default_rng(2)
    n_false = 0
    for _ in range(N_NULL):
        first, second, third = (list(rng.normal(0.9, 0.02, 5)) for _ in range(3))
        found = report([result(first, frozen=second, classical=third)])
        n_false += any(one["verdict"] != "no better" for one in found["members"][0]["comparisons"])
    assert n_false <= MOST_FALSE_CLAIMS


def test_more_members_make_each_claim_harder():
    one = result(scores(0.95, spread=0.02), classical=scores(0.90, spread=0.02, seed=1))
    tie = result(scores(0.9, seed=6), classical=scores(0.9, seed=7))
    alone, among = report([one]), report([one, *[tie] * 20])
    assert comparison(alone, "classical_net")["p_value"] == comparison(among, "classical_net")["p_value"]
    assert comparison(alone, "classical_net")["verdict"] == "better"
    assert comparison(among, "classical_net")["verdict"] == "no better"
    assert among["tests"]["n_tests"] == 21


def test_of_a_loss_less_is_better():
    test = paired_test(scores(0.2), scores(0.5, seed=1))
    assert verdict(test, 0.001, is_maximized=False) == "better"
    assert verdict(test, 0.001, is_maximized=True) == "worse"


def test_a_void_control_is_not_tested_and_said_so():
    found = report([result(scores(0.9), classical=scores(0.9, seed=1))])
    assert [one["control"] for one in found["members"][0]["comparisons"]] == ["classical_net"]
    assert "it has no entangling gate to take away" in found["members"][0]["sentence"]


def test_a_diverged_training_leaves_its_pair_out_and_is_said():
    one = result(scores(0.9), classical=scores(0.8, seed=1))
    one["arms"]["candidate"]["trials"][2] |= {"test_accuracy": None, "error": "the training loss became nan"}
    found = report([one])
    assert comparison(found, "classical_net")["difference"]["n"] == 4
    assert found["members"][0]["sentence"].endswith("1 of its trainings diverged and are left out.")


def test_a_member_of_which_every_training_diverged_claims_nothing():
    one = result(scores(0.9, n=3), classical=scores(0.8, n=3))
    for trial in one["arms"]["candidate"]["trials"]:
        trial |= {"test_accuracy": None, "error": "nan"}
    found = report([one])
    assert found["members"][0]["comparisons"] == []
    assert "not known: all 3 trainings diverged" in found["members"][0]["sentence"]


def test_a_member_without_a_result_has_no_statistics():
    assert report([None, result(scores(0.9), classical=scores(0.9))])["members"][0] is None


def test_pairs_are_matched_by_seed():
    one = result(scores(0.9), classical=scores(0.8, seed=1))
    shuffled = result(scores(0.9), classical=scores(0.8, seed=1))
    shuffled["arms"]["classical_net"]["trials"].reverse()
    assert report([one])["members"] == report([shuffled])["members"]
