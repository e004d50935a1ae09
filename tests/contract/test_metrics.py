"""What every metric of the catalogue has in common; a new one is picked up by itself.

For each metric: a known value, a bound, invariance under the names of wires and under global phase, the same value from
the same seed, and an error that shrinks as 1/√S and is the spread over seeds. What a metric is exempt from is declared
here, with the reason. Closed forms on every engine are in test_closed_forms.py.
"""

import dataclasses
import json
import math
from functools import lru_cache
from unittest import mock

import numpy as np
import pytest

from nas import evaluation
from nas.circuits import Angle, Circuit, Operation
from nas.engines import make_engine
from nas.errors import UndefinedMetric
from nas.evaluation import evaluate
from nas.metrics.bare import BareCircuit
from nas.metrics.gradient_variance import GradientDraws
from nas.metrics.measurement import Measurement
from nas.metrics.registry import MEASURES
from nas.space import SearchSpace
from nas.spec import METRICS, Needs, Protocol, parse_spec
from nas.spec.datasets import DATASETS
from nas.spec.settings import MetricSettings

SIGMAS = 5.0  # a false alarm once in two million
ROUNDING = 1e-9  # of two epochs of training; everything else rounds at 1e-12
ENGINE = make_engine("batched")

SAMPLED = [name for name, info in METRICS.items() if info.needs is not Needs.NOTHING]
STATIC = [name for name, info in METRICS.items() if info.is_static]
#: Estimates from a number of samples, which can be changed; a fit has replicates instead.
ESTIMATED = [
    name
    for name, info in METRICS.items()
    if info.needs is Needs.SIMULATION and name not in ("dead_parameters", "quantum_fisher_rank")  # exact
]

BOUNDS = {
    "validation_accuracy": (0.0, 1.0),
    "validation_f1": (0.0, 1.0),
    "validation_auc": (0.0, 1.0),
    "validation_r2": (-math.inf, 1.0),
    "noisy_accuracy": (0.0, 1.0),
    "shot_accuracy": (0.0, 1.0),
    "entangling_capability": (0.0, 1.0),
    "dead_parameters": (0.0, 1.0),
    "gradient_variance": (-math.inf, 1.0),
    "gradient_variance_pure": (-math.inf, 0.0),  # a gradient of one Pauli word is at most 1 in a circuit like this
    "gradient_variance_quantum": (-math.inf, 1.0),
    "gradient_variance_hybrid": (-math.inf, 1.0),
    "expressibility": (-0.1, math.inf),
    "frame_potential": (1.0, 36.0),  # Welch's bound, and that of a circuit with one state: N(N + 1)/2
    "quantum_fisher_rank": (0, 14),  # 2N − 2 for three qubits
    "expected_success": (0.0, 1.0),
}

_PLACED = "the router's first placement is in the order of the wires"
_DRAWN = "outcomes are drawn for basis states in the order of the wires"
NOT_INVARIANT_UNDER_RELABELLING = {"routed_two_qubit_gates": _PLACED, "routed_depth": _PLACED, "shot_accuracy": _DRAWN}
_COUNTED = "the phase is made of two gates, and this counts gates"
NOT_INVARIANT_UNDER_PHASE = dict.fromkeys(
    ("gates", "circuit_depth", "flops", "expected_success", "routed_depth"), _COUNTED
)
#: A fit has no closed form; the definitions of these have known values in tests/unit/nas.
FITTED = [name for name, info in METRICS.items() if info.needs is Needs.TRAINING]


def rotation(gate, wire, weight):
    return Operation(gate, (wire,), Angle(weight=weight))


def relabelled(circuit):
    names = dict(enumerate(reversed(range(circuit.qubits))))
    operations = [
        dataclasses.replace(each, wires=tuple(names[wire] for wire in each.wires)) for each in circuit.operations
    ]
    words = [tuple(sorted(((axis, names[w]) for axis, w in word), key=lambda f: f[1])) for word in circuit.observables]
    return dataclasses.replace(circuit, operations=tuple(operations), observables=tuple(words))


def with_phase(circuit):
    """RZ(0.7) and then diag(1, e^(−0.7 i)): together e^(−0.35 i)."""
    phase = (Operation("rz", (1,), Angle(0.7)), Operation("p", (1,), Angle(-0.7)))
    return dataclasses.replace(circuit, operations=(*circuit.operations, *phase))


def as_it_is(circuit):
    return circuit


@lru_cache
def evaluated_on(dataset, objective, seed, change, samples):
    task = DATASETS[dataset].task
    spec = parse_spec(
        {
            "name": "contract",
            "dataset": {"name": dataset, "samples": 60},
            "space": {"qubits": 3, "layers": 1, "entangler": "crx", "observable": "xyz-all", "learning_rate": 0.05},
            "training": {"epochs": 2, "seed": seed},
            "objectives": [{"metric": objective}],
            "engine": "batched",
            "metrics": {
                "also": [n for n, info in METRICS.items() if not info.is_always_measured and task in info.tasks],
                "expressibility": {"samples": samples},
                "entangling_capability": {"samples": samples},
                "gradient_variance": {"samples": samples, "batch_size": 4},
                "error_rates": {"one_qubit": 0.001, "two_qubit": 0.01, "readout": 0.02},
            },
        }
    )
    genuine = evaluation._architecture

    def built(genome, protocol):
        found = genuine(genome, protocol)
        return dataclasses.replace(found, circuit=change(found.circuit))

    with mock.patch.object(evaluation, "_architecture", built):
        return evaluate(SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)).metrics


def evaluated(seed=0, change=as_it_is, samples=200, *, on=evaluated_on):
    """Every metric on a classification, and on a regression those that only it has."""
    return {
        **on("friedman1", "validation_loss", seed, change, samples),
        **on("moons", "validation_accuracy", seed, change, samples),
    }


SETTINGS = MetricSettings.model_validate(
    {"error_rates": {"one_qubit": 0.1, "two_qubit": 0.2, "readout": 0.5}, "routing": {"trials": 1}}
)


def bare(circuit, *, seed=1, samples=None):
    blocks = ("expressibility", "entangling_capability", "gradient_variance")
    update = (
        {}
        if samples is None
        else {name: SETTINGS.__dict__[name].model_copy(update={"samples": samples}) for name in blocks}
    )
    return BareCircuit(circuit, ENGINE, SETTINGS.model_copy(update=update), seed)


class GivenGradients:
    """A subject whose gradients are ±scale, half of the draws each: variance scale² M/(M − 1)."""

    SCALES = {"pure": 1.0, "quantum": 0.1, "hybrid": 0.01}  # noqa: RUF012

    def gradients_of(self, definition):
        values = np.repeat([[self.SCALES[definition]], [-self.SCALES[definition]]], 500, 0)
        return GradientDraws(values, definition, {})


RX = Circuit(1, (rotation("rx", 0, 0),), ((("z", 0),),))
RX_RZ = Circuit(1, (rotation("rx", 0, 0), rotation("rz", 0, 1)), ((("z", 0),),))
BELL = Circuit(2, (Operation("h", (0,)), Operation("cx", (0, 1))), ((("z", 0),),))
TOFFOLI = Circuit(3, (Operation("ccx", (0, 1, 2)), rotation("ry", 2, 0)), ((("z", 2),), (("x", 2), ("x", 1))))
FAR = Circuit(4, (Operation("cx", (0, 3)), Operation("cx", (0, 3))), ())

_AFTER_1000 = math.log10(1000 / 999)
KNOWN = {
    "expressibility": (bare(RX, samples=50_000), 0.196),  # 75 bins of the arcsine law; see test_closed_forms.py
    "frame_potential": (bare(RX, samples=50_000), 9 / 8),  # E cos⁴ = 3/8 over 1/3
    "entangling_capability": (bare(BELL), 1.0),
    "gradient_variance": (bare(RX, samples=10_000), math.log10(0.5)),
    "gradient_variance_pure": (bare(RX, samples=10_000), math.log10(0.5)),
    "gradient_variance_quantum": (GivenGradients(), -2 + _AFTER_1000),
    "gradient_variance_hybrid": (GivenGradients(), -4 + _AFTER_1000),
    "dead_parameters": (bare(RX_RZ), 0.5),
    "quantum_fisher_rank": (bare(RX_RZ), 2),  # the two angles of the sphere
    "qubits": (bare(TOFFOLI), 3),
    "circuit_depth": (bare(TOFFOLI), 2),
    "gates": (bare(TOFFOLI), 2),
    "two_qubit_gates": (bare(BELL), 1),
    "quantum_parameters": (bare(RX_RZ), 2),
    "flops": (bare(RX), (28 + 16) + (56 + 44 + 8)),
    "expected_success": (bare(BELL), 0.9 * 0.8 * 0.5),
    "shots_for_gradient": (bare(TOFFOLI), 2 * 100),  # Z and XX are read apart
    "routed_two_qubit_gates": (bare(FAR), 2 * 3 + 2),  # two SWAPs bring 3 to 0, and it stays
    "routed_depth": (bare(FAR), 2 * 3 + 2),
    # Of the network of `evaluated`: three angles in, three observables of three axes out, two classes.
    "layers": (None, 1),
    "classical_parameters": (None, (2 * 3 + 3) + (9 * 2 + 2)),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_known_value(name):
    if name in FITTED:
        pytest.skip("a fit has no closed form; its definition has known values in tests/unit/nas")
    subject, expected = KNOWN[name]
    found = MEASURES[name](subject) if subject is not None else evaluated()[name]
    tolerance = 1e-12 if found.std_error is None else SIGMAS * found.std_error
    assert found.value == pytest.approx(expected, abs=tolerance, rel=1e-12)


def test_the_registry_is_the_catalogue():
    assert set(MEASURES) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_a_value_is_finite_and_within_its_bounds(name):
    low, high = BOUNDS.get(name, (0.0, math.inf))
    slack = SIGMAS * (evaluated()[name].std_error or 0.0)
    assert low - slack <= evaluated()[name].value <= high + slack
    assert math.isfinite(evaluated()[name].value)


@pytest.mark.parametrize("name", METRICS)
def test_the_names_of_wires_change_nothing(name):
    found, expected = evaluated(change=relabelled)[name], evaluated()[name]
    if name in NOT_INVARIANT_UNDER_RELABELLING:
        pytest.skip(NOT_INVARIANT_UNDER_RELABELLING[name])
    assert found.value == pytest.approx(expected.value, abs=ROUNDING)


@pytest.mark.parametrize("name", METRICS)
def test_a_global_phase_changes_nothing(name):
    found, expected = evaluated(change=with_phase)[name], evaluated()[name]
    if name in NOT_INVARIANT_UNDER_PHASE:
        assert found.value != expected.value, f"{name} is invariant: take it from the exceptions"
    else:
        assert found.value == pytest.approx(expected.value, abs=ROUNDING)


@pytest.mark.parametrize("name", METRICS)
def test_the_same_seed_gives_the_same_value(name):
    assert again()[name] == evaluated()[name]


@lru_cache
def again():
    return evaluated(on=evaluated_on.__wrapped__)


@pytest.mark.parametrize("name", [*ESTIMATED, "validation_loss", "validation_r2"])
def test_another_seed_gives_another_value(name):
    assert evaluated(0)[name].value != evaluated(1)[name].value


#: Far from Haar, where an error of expressibility falls as 1/√S; at Haar, it does as 1/S.
PLAIN = Circuit(2, (rotation("ry", 0, 0), rotation("ry", 1, 1), Operation("cx", (0, 1))), ((("z", 1),),))


@pytest.mark.parametrize("name", ESTIMATED)
def test_the_error_shrinks_as_one_over_the_root_of_the_samples(name):
    if METRICS[name].is_of_circuit:
        few, many = (MEASURES[name](bare(PLAIN, samples=samples)).std_error for samples in (800, 12_800))
    else:
        few, many = (evaluated(samples=samples)[name].std_error for samples in (800, 12_800))
    # Sixteen times the samples; an error from 800 is itself known to some 10 %.
    assert few / many == pytest.approx(4.0, rel=0.3)


#: Repeats, and how well they tell a spread: 1/√(2·60) is 9 %; three of these.
REPEATS, SPREAD = 60, 0.27


@pytest.mark.parametrize("name", [name for name in ESTIMATED if METRICS[name].is_of_circuit])
def test_the_error_is_the_spread_over_seeds(name):
    found = [MEASURES[name](bare(PLAIN, seed=seed, samples=400)) for seed in range(REPEATS)]
    spread = np.std([each.value for each in found], ddof=1)
    assert np.mean([each.std_error for each in found]) == pytest.approx(spread, rel=SPREAD)


@pytest.mark.parametrize("name", METRICS)
def test_an_error_is_a_number_or_the_word_exact(name):
    error = evaluated()[name].to_json()["std_error"]
    assert error == "exact" or error >= 0.0


@pytest.mark.parametrize("name", METRICS)
def test_unit_and_version_are_those_of_the_catalogue(name):
    document = evaluated()[name].to_json()
    assert (document["unit"], document["version"]) == (METRICS[name].unit, METRICS[name].version)


@pytest.mark.parametrize("name", METRICS)
def test_a_measurement_is_json(name):
    assert json.loads(json.dumps(evaluated()[name].to_json(), allow_nan=False))["value"] == evaluated()[name].value


@pytest.mark.parametrize("name", STATIC)
def test_a_static_metric_is_exact(name):
    assert evaluated()[name].std_error is None


@pytest.mark.parametrize("name", SAMPLED)
def test_a_sampled_metric_names_its_conditions(name):
    assert evaluated()[name].protocol


@pytest.mark.parametrize("name", METRICS)
def test_settings_that_the_catalogue_names_exist(name):
    info = METRICS[name]
    assert (info.settings or "also") in MetricSettings.model_fields


@pytest.mark.parametrize(("value", "std_error"), [(math.nan, 0.1), (math.inf, 0.1), (0.0, math.nan)])
def test_a_figure_that_is_not_finite_is_never_stored(value, std_error):
    with pytest.raises(UndefinedMetric, match="expressibility came out as"):
        Measurement("expressibility", value, std_error)
