"""What every metric has in common."""

import json
import math
from functools import lru_cache

import pytest

from nas.errors import UndefinedMetric
from nas.evaluation import evaluate
from nas.metrics.measurement import Measurement
from nas.metrics.registry import MEASURES
from nas.space import SearchSpace
from nas.spec import METRICS, Needs, Protocol, parse_spec
from nas.spec.datasets import DATASETS

SAMPLED = [name for name, info in METRICS.items() if info.needs is not Needs.NOTHING]
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
    "expressibility": (-0.1, math.inf),
}


def evaluated(seed=0):
    """Every metric on a classification, and on a regression those that only it has."""
    return {**evaluated_on("friedman1", "validation_loss", seed), **evaluated_on("moons", "validation_accuracy", seed)}


@lru_cache
def evaluated_on(dataset, objective, seed):
    task = DATASETS[dataset].task
    spec = parse_spec(
        {
            "name": "contract",
            "dataset": {"name": dataset, "samples": 60},
            "space": {"qubits": 2, "layers": 1, "learning_rate": 0.05},
            "training": {"epochs": 2, "seed": seed},
            "objectives": [{"metric": objective}],
            "engine": "default.qubit",
            "metrics": {
                "also": [name for name in SAMPLED if task in METRICS[name].tasks],
                "expressibility": {"samples": 200},
                "entangling_capability": {"samples": 50},
            },
        }
    )
    return evaluate(SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)).metrics


def test_the_registry_is_the_catalogue():
    assert set(MEASURES) == set(METRICS)


@pytest.mark.parametrize("name", METRICS)
def test_a_value_is_finite_and_within_its_bounds(name):
    low, high = BOUNDS.get(name, (0.0, math.inf))
    assert low <= evaluated()[name].value <= high
    assert math.isfinite(evaluated()[name].value)


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


@pytest.mark.parametrize("name", [name for name, info in METRICS.items() if info.is_static])
def test_a_static_metric_is_exact(name):
    assert evaluated()[name].std_error is None


@pytest.mark.parametrize("name", SAMPLED)
def test_a_sampled_metric_names_its_conditions(name):
    assert evaluated()[name].protocol


@pytest.mark.parametrize(
    "name", ["expressibility", "entangling_capability", "gradient_variance", "validation_loss", "validation_r2"]
)
def test_another_seed_gives_another_value(name):
    assert evaluated(0)[name].value != evaluated(1)[name].value


@pytest.mark.parametrize(("value", "std_error"), [(math.nan, 0.1), (math.inf, 0.1), (0.0, math.nan)])
def test_a_figure_that_is_not_finite_is_never_stored(value, std_error):
    with pytest.raises(UndefinedMetric, match="expressibility came out as"):
        Measurement("expressibility", value, std_error)
