"""The safetensors file of a candidate: read back, it is the network that was reported."""

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from nas.circuits.pennylane_source import pennylane_source
from nas.engines import make_engine
from nas.evaluation import evaluate
from nas.space import SearchSpace
from nas.spec import Protocol, parse_spec
from nas.training import weights as files
from nas.training.datasets import load, principal_components, side_by_side
from nas.training.fit import predict
from nas.training.hybrid import HybridNetworks
from nas.training.weights import UnreadableWeights, from_safetensors, metadata_of, to_safetensors

AGREEMENT = 1e-10


def case(mode="full-hybrid", dataset="iris", objective="validation_accuracy", *, space=None, **training):
    layers = {} if mode == "pure-quantum" else {"pre_layers": [[5]], "post_layers": [[4, 3]]}
    spec = parse_spec(
        {
            "name": "weights",
            "dataset": {"name": dataset},
            "space": {
                "qubits": 2,
                "layers": 2,
                "observable": "xyz-all",
                "learning_rate": 0.1,
                **layers,
                **(space or {}),
            },
            "training": {"mode": mode, "epochs": 4, **training},
            "objectives": [{"metric": objective}],
            "engine": "batched",
        }
    )
    return SearchSpace.from_spec(spec).decode({}), Protocol.from_spec(spec)


def data_of(weights):
    data, architecture = load(weights.protocol.dataset), weights.architecture
    return data if architecture.is_hybrid else principal_components(data, architecture.n_inputs)


def predictions(weights):
    """Of every replicate on the validation split, from the file alone."""
    data, architecture = data_of(weights), weights.architecture
    networks = HybridNetworks((architecture,) * len(weights.replicates), make_engine(weights.protocol.engine))
    x = side_by_side([data]).validation_x
    return predict(networks, networks.together(weights.replicates), x, data.validation_y)


@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
def test_a_network_from_its_file_has_the_validation_accuracy_that_was_reported(mode):
    found = evaluate(*case(mode, replicates=2))
    again = [one.accuracy for one in predictions(from_safetensors(found.weights))]
    assert again == found.metrics["validation_accuracy"].details["per_replicate"]


def test_a_regression_from_its_file_has_the_loss_that_was_reported():
    found = evaluate(*case(dataset="diabetes", objective="validation_loss"))
    (again,) = predictions(from_safetensors(found.weights))
    assert again.loss == pytest.approx(found.metrics["validation_loss"].value, abs=AGREEMENT)


@pytest.mark.parametrize(
    ("mode", "dataset", "objective"),
    [("full-hybrid", "iris", "validation_accuracy"), ("pure-quantum", "diabetes", "validation_loss")],
)
def test_the_tensors_of_a_replicate_are_a_state_of_the_pennylane_source(mode, dataset, objective):
    found = evaluate(*case(mode, dataset, objective, replicates=2))
    weights = from_safetensors(found.weights)
    names = {"__name__": "script"}
    exec(compile(pennylane_source(weights.architecture), "script", "exec"), names)
    network, prefix = names["Network"](), "replicate.1."
    tensors = load_tensors(found.weights)
    network.load_state_dict({name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)})
    with torch.no_grad():
        outputs = network(data_of(weights).validation_x).numpy()
    np.testing.assert_allclose(outputs, predictions(weights)[1].outputs, atol=AGREEMENT)


def test_the_metadata_say_what_the_weights_are_of():
    genome, protocol = case(replicates=2)
    found = evaluate(genome, protocol)
    metadata = metadata_of(found.weights)
    assert (metadata["genome"], metadata["digest"]) == (genome.to_json(), genome.digest)
    assert (metadata["protocol"], metadata["protocol_digest"]) == (protocol.to_json(), protocol.digest)
    assert metadata["training"]["epochs_reported"] == found.training["epochs_reported"]
    assert metadata["data"]["reduction"] == "classical layers: 4 to 5 to 2"


def test_equal_fits_are_equal_files():
    first, second = (evaluate(*case()).weights for _ in range(2))
    assert first == second


def test_nothing_trained_is_no_file():
    assert evaluate(*case(objective="gates")).weights is None


def test_what_would_be_too_large_is_no_file(monkeypatch):
    weights = from_safetensors(evaluate(*case()).weights)
    n_bytes = 8 * sum(len(one.classical) + len(one.circuit) for one in weights.replicates)
    monkeypatch.setattr(files, "MAX_BYTES", n_bytes)
    assert to_safetensors(weights) is not None
    monkeypatch.setattr(files, "MAX_BYTES", n_bytes - 1)
    assert to_safetensors(weights) is None


def test_a_file_without_one_of_its_tensors_names_it():
    content = evaluate(*case()).weights
    tensors = load_tensors(content)
    del tensors["replicate.0.after.2.bias"]
    import json

    broken = save_tensors(tensors, {"hqnas": json.dumps(metadata_of(content))})
    with pytest.raises(UnreadableWeights, match=r"replicate\.0\.after\.2\.bias is missing, and .* \(3,\)"):
        from_safetensors(broken)


@pytest.mark.parametrize("content", [b"", b"something else", save_tensors({"a": torch.zeros(1)})])
def test_another_file_is_refused(content):
    with pytest.raises(UnreadableWeights, match="not a file of weights that hqnas wrote"):
        from_safetensors(content)
