"""Who goes on to the next stage, and what is looked at again: the rules, on numbers that a reader can check."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.algorithms import Rival, judge, nearly_non_dominated
from nas.algorithms.clearance import Estimate, clearance
from nas.spec import InvalidSpec, Protocol, SearchSpec, parse_spec
from nas.spec.confirmation import ConfirmationProtocol
from nas.spec.fidelity import StageKind, again_plan, stage_plans
from nas.spec.training import Training

SPEC: dict[str, Any] = {
    "name": "test",
    "dataset": {"name": "iris"},
    "space": {"qubits": 2, "layers": {"min": 1, "max": 3}},
    "training": {"epochs": 20, "stages": {"epochs": [0, 5], "margin": 2.0}},
    "objectives": [{"metric": "validation_accuracy"}, {"metric": "expressibility"}, {"metric": "two_qubit_gates"}],
    "engine": "batched",
}


def a_spec(**changes: Any) -> SearchSpec:
    return parse_spec({**SPEC, **changes})


def stages(**changes: Any) -> SearchSpec:
    return a_spec(training={"epochs": 20, "stages": {"epochs": [0, 5], "margin": 2.0, **changes}})


def measured(**values: float | tuple[float, float]) -> dict[str, dict[str, Any]]:
    """Returns metrics from numbers, exact, or pairs of value and standard error."""
    return {
        name: {"value": value[0], "std_error": value[1]}
        if isinstance(value, tuple)
        else {"value": value, "std_error": "exact"}
        for name, value in values.items()
    }


def rival(place: tuple[int, int] = (0, 3), *, early: float = 0.8, final: float = 0.9, **values: Any) -> Rival:
    cheap = {"expressibility": (0.1, 0.03), "two_qubit_gates": 4.0, **values}
    return Rival(
        place,
        final=measured(validation_accuracy=(final, 0.03), **cheap),
        at_stage=measured(validation_accuracy=(early, 0.03)),
    )


def early(accuracy: float, **values: Any) -> dict[str, dict[str, Any]]:
    return measured(
        **{"validation_accuracy": (accuracy, 0.04), "expressibility": (0.5, 0.04), "two_qubit_gates": 4.0, **values}
    )


def test_clearance_is_the_weakest_gap_over_its_error() -> None:
    one, other = [Estimate(0.1, 0.03), Estimate(2.0)], [Estimate(0.3, 0.04), Estimate(5.0)]
    assert clearance(one, other) == pytest.approx(0.2 / 0.05)


def test_within_nothing_is_the_front_alone_though_nothing_is_better_than_what_noise_keeps_off_it() -> None:
    points = [[Estimate(0.0, 0.3), Estimate(0.0)], [Estimate(-0.1, 0.3), Estimate(1.0)]]
    assert nearly_non_dominated(points, [True, False], within=0.0) == [True, False]
    assert nearly_non_dominated(points, [True, False], within=0.1) == [True, True]


def test_equal_points_do_not_dominate_one_another() -> None:
    point = [Estimate(0.1, 0.03), Estimate(2.0)]
    assert clearance(point, point) == -math.inf


def test_an_exact_tie_bounds_nothing_and_an_exact_loss_excludes_dominance() -> None:
    assert clearance([Estimate(2.0), Estimate(0.0, 0.3)], [Estimate(2.0), Estimate(1.0, 0.4)]) == pytest.approx(2.0)
    assert clearance([Estimate(3.0), Estimate(0.0, 0.3)], [Estimate(2.0), Estimate(1.0, 0.4)]) == -math.inf


POINTS = st.lists(
    st.tuples(*[st.builds(Estimate, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.1, 0.5]))] * 2),
    max_size=8,
)


@given(POINTS, st.data())
def test_what_is_nearly_non_dominated_is_what_no_member_clears(points: list[Any], data: st.DataObject) -> None:
    front = [data.draw(st.booleans()) for _ in points]
    members = [point for point, is_member in zip(points, front, strict=True) if is_member]
    expected = [
        is_member or all(clearance(member, point) < 1.0 for member in members)
        for point, is_member in zip(points, front, strict=True)
    ]
    assert nearly_non_dominated(points, front, within=1.0) == expected


def test_a_candidate_behind_by_the_margin_in_every_objective_is_stopped_with_the_rival_named() -> None:
    stop = judge(stages(), early(0.70), [rival()])  # 0.1 / 0.05 = 2 standard errors
    assert stop is not None
    assert (stop.by, stop.clearance) == ((0, 3), pytest.approx(2.0))
    assert stop.reason == "dominated by 0.3, with 2 standard errors to spare in every objective"


def test_a_candidate_within_the_margin_goes_on() -> None:
    assert judge(stages(), early(0.71), [rival()]) is None
    assert judge(stages(margin=1.5), early(0.71), [rival()]) is not None


def test_where_noise_counts_a_rival_that_is_equal_within_it_stops_nobody() -> None:
    known = early(0.745, expressibility=(0.155, 0.04))  # 0.055 behind: 1.1 errors of the difference, and less than
    spec = stages(margin=1.0)  # 0.03 + 0.04, so that both would stand on the front
    assert judge(spec, known, [rival()]) is None
    ignoring = spec.model_copy(update={"algorithm": spec.algorithm.model_copy(update={"noise": "ignore"})})
    stop = judge(ignoring, known, [rival()])
    assert stop is not None
    assert stop.clearance == pytest.approx(1.1)
    assert judge(spec, early(0.725, expressibility=(0.155, 0.04)), [rival()]) is not None  # by more than it in one


def test_a_candidate_better_in_one_exact_objective_goes_on() -> None:
    assert judge(stages(), early(0.3, two_qubit_gates=3.0), [rival()]) is None


def test_like_is_compared_with_like_and_not_early_with_final() -> None:
    # At 5 epochs the rival was where the candidate is now; that it came to 0.9 in the end says nothing.
    assert judge(stages(), early(0.5), [rival(early=0.5, final=0.9)]) is None


def test_the_clearest_rival_is_named_and_of_equals_the_first() -> None:
    rivals = [rival((0, 1), early=0.85), rival((0, 2), early=0.9), rival((1, 0), early=0.9)]
    stop = judge(stages(), early(0.5), rivals)
    assert stop is not None
    assert stop.by == (0, 2)


def test_without_rivals_everyone_goes_on() -> None:
    assert judge(stages(), early(0.0), []) is None


CHEAP = measured(expressibility=(0.5, 0.04), two_qubit_gates=4.0)


def test_before_training_nothing_is_dominated_that_could_still_be_the_most_accurate() -> None:
    assert judge(stages(), CHEAP, [rival(final=0.99)]) is None


def test_a_rival_that_is_always_right_dominates_before_training() -> None:
    stop = judge(stages(), CHEAP, [rival(final=1.0)])
    assert stop is not None
    assert stop.clearance == pytest.approx(0.4 / 0.05)
    assert stop.reason.endswith("in every objective but validation_accuracy, which cannot be better than there")


def test_unmeasured_objectives_may_be_left_out_on_request() -> None:
    stop = judge(stages(unmeasured="ignore"), CHEAP, [rival(final=0.6)])
    assert stop is not None
    assert stop.reason.endswith("; validation_accuracy not measured yet")


def test_what_training_cannot_change_is_said_so() -> None:
    spec = a_spec(objectives=[{"metric": "validation_accuracy"}, {"metric": "two_qubit_gates"}])
    stop = judge(spec, measured(two_qubit_gates=5.0), [rival(final=1.0)])
    assert stop is not None
    assert (stop.clearance, stop.reason) == (None, "dominated by 0.3, whatever further training brings")


def test_a_tie_of_replicates_without_spread_is_not_taken_for_an_exact_one() -> None:
    known = {**early(0.8), "validation_accuracy": {"value": 0.8, "std_error": 0.0}}
    one = Rival((0, 0), rival().final, {"validation_accuracy": {"value": 0.8, "std_error": 0.0}})
    assert judge(stages(), known, [one]) is None


BOUND = {
    "constraints": [{"metric": "expressibility", "at_most": 0.4}, {"metric": "validation_accuracy", "at_least": 0.9}]
}


def test_a_broken_bound_that_training_does_not_touch_stops_a_candidate_with_its_violation() -> None:
    stop = judge(a_spec(**BOUND), CHEAP, [])
    assert stop is not None
    assert (stop.violation, stop.by) == (pytest.approx(0.1), None)
    assert stop.reason == "expressibility is 0.5, and at most 0.4 is asked"


def test_a_bound_on_accuracy_is_not_judged_early() -> None:
    assert judge(a_spec(**BOUND), early(0.1, expressibility=(0.3, 0.04)), []) is None


def test_the_last_stage_is_the_protocol_of_a_search_without_stages() -> None:
    plans = stage_plans(a_spec())
    assert [(plan.kind, plan.epochs) for plan in plans] == [("early", 0), ("early", 5), ("full", 20)]
    assert plans[-1].protocol.digest == Protocol.from_spec(a_spec(training={"epochs": 20})).digest


def test_the_first_stage_measures_what_needs_no_training_and_the_next_what_needs_it() -> None:
    first, second, full = (set(plan.protocol.metrics) for plan in stage_plans(a_spec()))
    assert (second, first & second) == ({"validation_accuracy"}, set())
    assert first | second == full


def test_a_first_stage_that_trains_measures_everything() -> None:
    first, full = stage_plans(a_spec(training={"epochs": 20, "stages": {"epochs": [5]}}))
    assert set(first.protocol.metrics) == set(full.protocol.metrics)


def test_a_second_look_has_more_of_every_sample_and_another_seed() -> None:
    spec = a_spec(algorithm={"reevaluate": {"factor": 4}}, training={"replicates": 2, "seed": 2**31 - 1})
    plan, full = again_plan(spec), Protocol.from_spec(spec)
    assert plan.kind == StageKind.AGAIN
    for name in ("expressibility", "entangling_capability", "gradient_variance"):
        assert getattr(plan.protocol.settings, name).samples == 4 * getattr(full.settings, name).samples
    assert (plan.protocol.training.replicates, plan.protocol.training.seed) == (8, 0)
    # What changes nothing in it is not stored: blocks of metrics that it does not name.
    assert Protocol.model_validate(plan.protocol.to_json()).digest == plan.protocol.digest


def test_a_second_look_at_what_has_replicates_takes_more_of_those() -> None:
    spec = a_spec(algorithm={"reevaluate": {"factor": 4}}, metrics={"replicates": 3})
    again, full = again_plan(spec).protocol.settings, Protocol.from_spec(spec).settings
    assert (again.replicates, again.expressibility) == (12, full.expressibility)


def test_an_early_stage_may_be_shorter_than_the_patience_of_its_fits() -> None:
    spec = a_spec(
        space={"qubits": 2, "layers": {"min": 1, "max": 3}},
        training={"epochs": 20, "patience": 10, "learning_rate": [0.1, 0.01], "stages": {"epochs": [0, 5]}},
    )
    fits = [Protocol.model_validate(plan.protocol.to_json()).training for plan in stage_plans(spec)]
    assert [(one.epochs, one.patience, one.learning_rate) for one in fits] == [
        (epochs, 10, [0.1, 0.01]) for epochs in (1, 5, 20)
    ]


def test_a_confirmation_knows_nothing_of_the_stages_of_its_search() -> None:
    staged, at_once = (
        ConfirmationProtocol.from_spec(spec, seeds=5, epochs=30, engine="batched")
        for spec in (a_spec(), a_spec(training={"epochs": 20}))
    )
    assert staged.digest == at_once.digest
    assert type(staged.training) is Training


def test_a_protocol_is_stored_without_the_stages_of_its_search() -> None:
    for plan in stage_plans(a_spec()):
        assert type(plan.protocol.training) is Training
        assert "stages" not in plan.protocol.to_json()["training"]


REFUSALS = [
    ({"training": {"stages": {"epochs": [5, 5]}}}, "training.stages.epochs", "more epochs than the one before"),
    ({"training": {"epochs": 5, "stages": {"epochs": [0, 5]}}}, "training.stages.epochs.1", "shorter than"),
    ({"training": {"stages": {"epochs": []}}}, "training.stages.epochs", "is empty"),
    ({"training": {"stages": {"epochs": [-1]}}}, "training.stages.epochs.0", "greater than or equal to 0"),
    ({"training": {"stages": {"epochs": [1], "margin": -1}}}, "training.stages.margin", "greater than or equal to 0"),
    ({"objectives": [{"metric": "expressibility"}]}, "training.stages", "nothing to put off"),
    (
        {"objectives": [{"metric": "expressibility"}], "metrics": {"also": ["validation_loss"]}},
        "training.stages.epochs",
        "no objective needs training",
    ),
    (
        {
            "training": {"stages": {"epochs": [0], "unmeasured": "ignore"}},
            "objectives": [{"metric": "validation_accuracy"}, {"metric": "gates"}],
        },
        "training.stages.unmeasured",
        "by one alone",
    ),
    ({"training": {"replicates": 50}, "algorithm": {"reevaluate": {}}}, "algorithm.reevaluate.factor", "are 200"),
    ({"metrics": {"replicates": 30}, "algorithm": {"reevaluate": {}}}, "algorithm.reevaluate.factor", "are 120"),
    (
        {"metrics": {"quantum_fisher_rank": {"samples": 300}}, "algorithm": {"reevaluate": {}}},
        "algorithm.reevaluate.factor",
        "at most 1000",
    ),
    ({"algorithm": {"reevaluate": {"factor": 1}}}, "algorithm.reevaluate.factor", "greater than or equal to 2"),
]


@pytest.mark.parametrize(("changes", "path", "says"), REFUSALS, ids=[refusal[2] for refusal in REFUSALS])
def test_what_does_not_fit_is_refused_with_its_path(changes: dict[str, Any], path: str, says: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        a_spec(**changes)
    assert [path] == [problem.path for problem in refused.value.problems]
    assert says in str(refused.value)
