"""Sampled metrics measured several times: independent draws, their mean, and an error that is never too small."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.evaluation import evaluate, evaluate_bundle
from nas.metrics.measurement import Measurement
from nas.metrics.replicates import mean_of_replicates
from nas.space import Genome, SearchSpace
from nas.spec import Protocol, SearchSpec, parse_spec

SAMPLED = ("expressibility", "entangling_capability", "gradient_variance")


def a_spec(*, replicates: int = 1, mode: str = "pure-quantum") -> SearchSpec:
    return parse_spec(
        {
            "name": "replicates",
            "dataset": {"name": "moons", "samples": 60},
            "space": {"qubits": 2, "layers": [1, 2]},
            "training": {"mode": mode, "epochs": 1},
            "objectives": [{"metric": name} for name in SAMPLED],
            "metrics": {
                "replicates": replicates,
                "expressibility": {"samples": 200},
                "entangling_capability": {"samples": 50},
                "gradient_variance": {"batch_size": 2},
                "also": ["dead_parameters", "validation_loss"],
            },
            "engine": "batched",
        }
    )


def case(**options: object) -> tuple[list[Genome], Protocol]:
    spec = a_spec(**options)
    return [SearchSpace.from_spec(spec).decode({"layers": i}) for i in (0, 1)], Protocol.from_spec(spec)


@pytest.mark.parametrize("mode", ["pure-quantum", "quantum-only", "full-hybrid"])
def test_replicates_are_independent_and_the_first_is_what_one_measurement_gives(mode: str) -> None:
    (genome, _), protocol = case(replicates=3, mode=mode)
    found = evaluate(genome, protocol).metrics
    alone = evaluate(genome, case(mode=mode)[1]).metrics
    for name in SAMPLED:
        values = found[name].details["per_replicate"]
        assert len(set(values)) == 3
        assert values[0] == alone[name].value
        assert found[name].value == pytest.approx(sum(values) / 3)
        assert found[name].details["replicates"][0]["std_error"] == alone[name].std_error


def test_fits_have_replicates_of_their_own() -> None:
    (genome, _), protocol = case(replicates=3, mode="full-hybrid")
    found = evaluate(genome, protocol)
    assert found.metrics["validation_loss"] == evaluate(genome, case(mode="full-hybrid")[1]).metrics["validation_loss"]
    assert len(found.curves) == 1


def test_what_is_exact_in_every_replicate_is_exact() -> None:
    (genome, _), protocol = case(replicates=3)
    assert evaluate(genome, protocol).metrics["dead_parameters"].std_error is None


def test_a_bundle_has_the_replicates_of_its_members_to_the_last_bit() -> None:
    genomes, protocol = case(replicates=2, mode="full-hybrid")
    together = evaluate_bundle(genomes, protocol)
    assert [one.to_json() for one in together] == [evaluate(genome, protocol).to_json() for genome in genomes]


def test_one_replicate_leaves_the_protocol_as_it_was() -> None:
    document = case()[1].to_json()
    assert "replicates" not in document["settings"]
    three = case(replicates=3)[1]
    assert three.to_json()["settings"]["replicates"] == 3
    assert three.digest != case()[1].digest
    assert Protocol.model_validate(three.to_json()) == three
    assert Protocol.model_validate(document) == case()[1]


def measurements(values: list[float], errors: list[float | None]) -> list[Measurement]:
    return [Measurement("expressibility", value, error) for value, error in zip(values, errors, strict=True)]


def test_the_error_of_replicates_that_differ_is_that_of_their_mean() -> None:
    found = mean_of_replicates(measurements([1.0, 2.0, 3.0], [0.1, 0.1, 0.1]))
    assert (found.value, found.std_error) == (2.0, pytest.approx(1.0 / math.sqrt(3.0)))
    assert found.protocol["std_error_from"] == "replicates"


def test_replicates_that_agree_by_chance_keep_the_error_of_their_draws() -> None:
    found = mean_of_replicates(measurements([2.0, 2.0], [0.3, 0.4]))
    assert (found.value, found.std_error) == (2.0, pytest.approx(0.25))
    assert found.protocol["std_error_from"] == "draws"


def test_exact_values_that_differ_have_an_error() -> None:
    assert mean_of_replicates(measurements([0.0, 1.0], [None, None])).std_error == pytest.approx(0.5)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 1)), min_size=2, max_size=9))
def test_the_mean_of_replicates_does_not_depend_on_their_order(pairs: list[tuple[float, float]]) -> None:
    values, errors = zip(*pairs, strict=True)
    forward, back = (
        mean_of_replicates(measurements(list(v), list(e))) for v, e in ((values, errors), (values[::-1], errors[::-1]))
    )
    assert forward.value == pytest.approx(back.value)
    assert forward.std_error == pytest.approx(back.std_error)
    assert (forward.std_error or 0.0) >= math.sqrt(sum(error**2 for error in errors)) / len(errors) * (1 - 1e-12)
