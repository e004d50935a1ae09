"""What a spec may say of training, data and fitted metrics."""

import pytest

from nas.space import SearchSpace
from nas.spec import InvalidSpec, Protocol, parse_spec

PLAIN = {
    "name": "plain",
    "dataset": {"name": "iris"},
    "space": {"qubits": [2, 3], "layers": 1},
    "objectives": [{"metric": "validation_accuracy"}],
    "engine": "batched",
}
#: Of PLAIN before any later field was there; evaluations are stored under it.
PLAIN_DIGEST = "9fd1a83656f3b2d8395c37c25ad00e90585d8e9773fc920c59242afc9586cdef"


def spec(**changes):
    return parse_spec({**PLAIN, **changes})


def refusal(**changes):
    with pytest.raises(InvalidSpec) as caught:
        spec(**changes)
    return str(caught.value)


def test_later_fields_with_their_defaults_leave_the_digest_as_it_was():
    assert Protocol.from_spec(spec()).digest == PLAIN_DIGEST


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"patience": 5}},
        {"training": {"class_weights": "balanced"}},
        {"training": {"learning_rate": [0.1, 0.01]}},
        {"dataset": {"name": "iris", "reduce": {"pca": 2}}},
        {"metrics": {"also": ["shot_accuracy"], "shots": 10}},
        {"metrics": {"also": ["noisy_accuracy"], "noise": {"readout": 0.1}}},
    ],
)
def test_a_later_field_that_is_set_changes_the_digest_and_is_read_back(changes):
    protocol = Protocol.from_spec(spec(**changes))
    # The settings of a metric are in the protocol of those that measure it.
    also = changes.get("metrics", {}).get("also", [])
    assert protocol.digest != Protocol.from_spec(spec(metrics={"also": also})).digest
    assert Protocol.model_validate(protocol.to_json()) == protocol


def test_a_sweep_takes_the_learning_rate_out_of_the_genome():
    space = SearchSpace.from_spec(spec(training={"learning_rate": [0.1, 0.01]}))
    assert space.decode({"qubits": 0}).learning_rate is None


def test_a_sweep_with_its_defaults_filled_in_is_the_same_spec():
    swept = spec(training={"learning_rate": [0.1, 0.01]})
    assert parse_spec(swept.model_dump(mode="json")) == swept


def test_a_sweep_and_a_gene_are_one_too_many():
    space = {**PLAIN["space"], "learning_rate": 0.01}
    assert refusal(space=space, training={"learning_rate": [0.1]}).startswith(
        "space.learning_rate: every candidate tries the rates of training.learning_rate; remove this gene"
    )


def test_neither_a_sweep_nor_a_gene_is_one_too_few():
    assert "space.learning_rate: a learning rate is missing" in refusal(space={**PLAIN["space"], "learning_rate": None})


def test_a_rate_stands_once_in_a_sweep():
    assert "0.1 stands twice" in refusal(training={"learning_rate": [0.1, 0.1]})


@pytest.mark.parametrize(
    "metric", ["validation_accuracy", "validation_f1", "validation_auc", "noisy_accuracy", "shot_accuracy"]
)
def test_a_regression_has_no_metric_of_classes(metric):
    text = refusal(dataset={"name": "diabetes"}, objectives=[{"metric": metric}])
    assert text.startswith(f"objectives.0.metric: '{metric}' is defined for classification, and 'diabetes' is a")
    assert "choose from validation_loss, validation_r2" in text


def test_a_classification_has_no_r2():
    assert "constraints.0.metric: 'validation_r2' is defined for regression, and 'iris' is a classification" in refusal(
        constraints=[{"metric": "validation_r2", "at_least": 0.5}]
    )


def test_a_metric_beside_the_objectives_is_checked_too():
    assert "metrics.also.0: 'validation_r2' is defined" in refusal(metrics={"also": ["validation_r2"]})


def test_a_regression_has_no_classes_to_weigh():
    objectives = [{"metric": "validation_loss"}]
    changes = {"dataset": {"name": "friedman1"}, "training": {"class_weights": "balanced"}}
    assert "training.class_weights: 'friedman1' is a regression" in refusal(objectives=objectives, **changes)


def test_spiral_has_ten_to_110_features():
    assert "'spiral' is defined for 10 to 110 features, not 9" in refusal(dataset={"name": "spiral", "features": 9})


def test_there_are_no_more_components_than_features():
    assert "'iris' has 4 features, and 5 principal components" in refusal(
        dataset={"name": "iris", "reduce": {"pca": 5}}
    )


def test_the_unit_of_a_loss_is_that_of_the_task():
    from nas.spec import METRICS

    info = METRICS["validation_loss"]
    assert (info.unit_of("classification"), info.unit_of("regression")) == ("nats", "variance of the training target")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"operations": []}, "operations: unknown key 'operations'; remove it"),
        ({"qubits": 2}, "qubits: unknown key 'qubits'; it goes into 'space'"),
        ({"trainning": {}}, "trainning: unknown key 'trainning'; did you mean 'training'?"),
        ({"dataset": {"name": "iris", "classes": 3}}, "dataset.classes: unknown key 'classes'; remove it"),
        ({"metrics": {"noise": {"shots": 9}}}, "metrics.noise.shots: unknown key 'shots'; it goes into 'metrics'"),
        ({"objectives": [{"metrik": "qubits"}]}, "unknown key 'metrik'; did you mean 'metric'?"),
    ],
)
def test_an_unknown_key_is_corrected_from_its_own_block_or_sent_to_the_one_that_has_it(changes, sentence):
    assert sentence in refusal(**changes)


def test_a_metric_that_is_nearly_right_is_told_the_right_one():
    assert "'noise_accuracy'; did you mean 'noisy_accuracy'?" in refusal(objectives=[{"metric": "noise_accuracy"}])
