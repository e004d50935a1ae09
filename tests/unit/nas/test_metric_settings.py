"""What a spec says of metrics: settings, what they need, and the protocol that they make."""

import json

import pytest

from nas.algorithms.generation import is_allowed
from nas.space import SearchSpace
from nas.spec import METRICS, Protocol, parse_spec
from nas.spec.errors import InvalidSpec

RATES = {"one_qubit": 0.001, "two_qubit": 0.01}


def a_spec(*, objective="gates", mode="full-hybrid", space=None, constraints=(), **metrics):
    return parse_spec(
        {
            "name": "settings",
            "dataset": {"name": "iris"},
            "space": {"qubits": 4, "layers": 2, "observable": "xyz-all", **(space or {})},
            "training": {"mode": mode},
            "objectives": [{"metric": objective}],
            "constraints": list(constraints),
            "metrics": metrics,
            "engine": "batched",
        }
    )


def refusal(**options):
    with pytest.raises(InvalidSpec) as caught:
        a_spec(**options)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"objective": "expected_success"}, "objectives.0.metric", "needs metrics.error_rates"),
        ({"constraints": [{"metric": "expected_success", "at_least": 0.5}]}, "constraints.0.metric", "needs metrics"),
        ({"also": ["gates", "expected_success"]}, "metrics.also.1", "needs metrics.error_rates"),
        (
            {"mode": "pure-quantum", "also": ["gradient_variance_hybrid"]},
            "metrics.also.0",
            "pure-quantum has no loss around the circuit",
        ),
        (
            {"objective": "routed_depth", "routing": {"coupling_map": [[0, 1], [1, 2]]}},
            "metrics.routing.coupling_map",
            "the device has 3 wires, and the space reaches 4 qubits",
        ),
        (
            {"routing": {"coupling_map": [[0, 1], [2, 3]]}},
            "metrics.routing.coupling_map",
            "no path leads from wire 0 to wire 2",
        ),
        ({"routing": {"coupling_map": [[0, 0]]}}, "metrics.routing.coupling_map", "coupled with itself"),
        ({"routing": {"coupling_map": "star"}}, "metrics.routing.coupling_map", "'heavy-hex', not 'star'"),
        ({"routing": {"coupling_map": [[0, "b"]]}}, "metrics.routing.coupling_map.0.1", "not 'b'"),
        ({"error_rates": {**RATES, "two_qubit": 1}}, "metrics.error_rates.two_qubit", "less than 1"),
        ({"error_rates": {"one_qubit": 0.1}}, "metrics.error_rates.two_qubit", "is required and missing"),
        ({"shots_for_gradient": {"error": 0}}, "metrics.shots_for_gradient.error", "greater than"),
        (
            {"objective": "quantum_fisher_rank", "space": {"qubits": [4, 12]}},
            "objectives.0.metric",
            "for circuits of at most 10 qubits, and the space reaches 12",
        ),
        (
            {
                "mode": "quantum-only",
                "also": ["gradient_variance_hybrid"],
                "space": {"pre_layers": [[4096, 4096]]},
            },
            "space.pre_layers",
            "take narrower layers or fewer draws",
        ),
    ],
)
def test_what_a_metric_lacks_is_said_with_its_path(options, path, message):
    problem = refusal(**options)
    assert problem.path == path
    assert message in problem.message


def test_a_bound_on_expected_success_is_met_before_anything_is_measured():
    # Twenty gates on one wire and six on two, at most; a deeper candidate falls below.
    bound = {"metric": "expected_success", "at_least": 0.9}
    spec = a_spec(space={"layers": [1, 6]}, constraints=[bound], error_rates=RATES)
    space = SearchSpace.from_spec(spec)
    assert [is_allowed(spec, space.decode({"layers": index})) for index in (0, 1)] == [True, False]


def test_a_bound_on_shots_is_met_before_anything_is_measured():
    spec = a_spec(space={"layers": [1, 6]}, constraints=[{"metric": "shots_for_gradient", "at_most": 3 * 8 * 100}])
    space = SearchSpace.from_spec(spec)
    assert [is_allowed(spec, space.decode({"layers": index})) for index in (0, 1)] == [True, False]


def test_metrics_on_request_are_not_measured_unasked():
    assert set(a_spec().measured) == {name for name, info in METRICS.items() if info.is_always_measured}


def test_a_metric_on_request_is_measured_where_it_is_named():
    assert "shots_for_gradient" in a_spec(also=["shots_for_gradient"]).measured


def protocol(**metrics):
    return Protocol.from_spec(a_spec(**metrics))


def test_settings_of_metrics_that_are_not_measured_part_no_evaluations():
    other = protocol(error_rates=RATES, routing={"coupling_map": "ring"}, shots_for_gradient={"error": 0.01})
    assert other.digest == protocol().digest


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("routed_depth", {"routing": {"coupling_map": "ring"}}),
        ("shots_for_gradient", {"shots_for_gradient": {"error": 0.01}}),
        ("frame_potential", {"frame_potential": {"order": 3}}),
        ("quantum_fisher_rank", {"quantum_fisher_rank": {"samples": 20}}),
    ],
)
def test_settings_of_measured_metrics_do(name, settings):
    assert protocol(also=[name], **settings).digest != protocol(also=[name]).digest


def test_a_protocol_comes_back_from_its_json():
    asked = protocol(also=["routed_depth"], routing={"coupling_map": [[0, 1], [1, 2], [2, 3]]})
    back = Protocol.model_validate(json.loads(json.dumps(asked.to_json())))
    assert (back.digest, back.settings.routing) == (asked.digest, asked.settings.routing)


def test_the_protocol_of_an_old_search_keeps_its_digest():
    """Evaluations of a database are found by it; this one is of the release before these settings."""
    spec = parse_spec(
        {
            "name": "old",
            "dataset": {"name": "iris"},
            "space": {"qubits": 4, "layers": 2},
            "objectives": [{"metric": "gradient_variance"}, {"metric": "validation_accuracy"}],
            "engine": "batched",
        }
    )
    assert Protocol.from_spec(spec).digest == "a9315e25a464c6abaf0d71bfc5566b267449a84b49361033246032c841afd3c6"
