"""The network, its training and its gradients."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from nas.circuits import Architecture
from nas.engines import make_engine
from nas.errors import TrainingDiverged
from nas.space import SearchSpace
from nas.spec import parse_spec
from nas.spec.settings import GradientSettings
from nas.spec.training import Training
from nas.training.datasets import Data, load, principal_components, side_by_side
from nas.training.fit import _OPTIMIZERS, Fit, _Descent, predict
from nas.training.fit import fit as fit_bundle
from nas.training.gradients import loss_gradients
from nas.training.hybrid import HybridNetworks, Parameters, _product

ROUNDING = 1e-12
SCALED_STEP = 1e-9  # steps divide by the root of squared gradients, which magnifies rounding where they are small


def network(mode="full-hybrid", dataset="iris", engine="default.qubit", **space):
    spec = parse_spec(
        {
            "name": "training",
            "dataset": {"name": dataset},
            "space": {"qubits": 2, "layers": 1, **space},
            "training": {"mode": mode},
            "objectives": [{"metric": "validation_accuracy"}],
        }
    )
    architecture = Architecture.build(SearchSpace.from_spec(spec).decode({}), spec)
    return HybridNetworks((architecture,), make_engine(engine))


def rng(seed=1):
    return np.random.default_rng(seed)


def data(name="iris"):
    return side_by_side([load(parse_dataset(name))])


def fit(net, found, settings, *, learning_rate, rng):
    """Fits a bundle of one."""
    (outcome,) = fit_bundle(net, found, settings, learning_rates=[learning_rate], rngs=[rng])
    if isinstance(outcome, Fit):
        return outcome
    raise outcome


def parse_dataset(name):
    from nas.spec.datasets import Dataset

    return Dataset(name=name)


def test_circuit_weights_start_uniform_on_the_circle():
    weights = network().draw([rng()], draws=4_000).circuit
    assert weights.min() >= 0.0
    assert weights.max() < 2 * math.pi
    assert weights.mean().item() == pytest.approx(math.pi, abs=5 * 2 * math.pi / math.sqrt(12 * weights.numel()))


def test_linear_layers_start_within_one_over_the_root_of_their_inputs():
    (layers,) = network().draw([rng()], draws=1_000).classical
    # 4 x 2 weights and 2 biases before the circuit, 2 x 3 and 3 behind it
    assert layers[..., :10].abs().max().item() == pytest.approx(0.5, abs=0.001)
    assert layers[..., 10:].abs().max().item() == pytest.approx(0.5**0.5, abs=0.001)


def test_parameters_are_as_many_as_the_costs_say():
    from nas.metrics.costs import exact_costs

    net = network(pre_layers=[[8]], post_layers=[[5]])
    costs = exact_costs(net.architectures[0])
    n_parameters = sum(parameter.numel() for parameter in net.draw([rng()]).trained("full-hybrid"))
    assert n_parameters == costs["quantum_parameters"] + costs["classical_parameters"]


def test_draws_together_are_draws_apart():
    net, x = network(pre_layers=[[3]], post_layers=[[3]]), data().train_x[:, :5]
    drawn = net.draw([rng()], draws=4)
    together = net.logits(drawn, x[:, None])
    for m in range(4):
        apart = net.logits(Parameters((drawn.classical[0][:, m],), drawn.circuit[:, m]), x)
        torch.testing.assert_close(together[:, m], apart, rtol=0.0, atol=ROUNDING)


def test_logits_of_a_pure_circuit_are_scaled_means_by_class():
    net, x = network("pure-quantum", observable="xyz-all"), data().train_x[:, :2, :2]
    parameters = net.draw([rng()])
    inputs = math.pi * torch.tanh(x[0])
    expectations = net.engine.expectations(net.architectures[0].circuit, parameters.circuit, inputs)
    expected = 5.0 * torch.stack([expectations[:, [label, label + 3]].mean(1) for label in range(3)], 1)
    torch.testing.assert_close(net.logits(parameters, x)[0], expected, rtol=0.0, atol=ROUNDING)


def test_one_expectation_tells_two_classes_apart():
    net = network("pure-quantum", "moons", observable="z-first")
    logits = net.logits(net.draw([rng()]), torch.zeros(1, 1, 2, dtype=torch.float64))
    assert logits[0, 0, 0] == -logits[0, 0, 1]


def test_amplitudes_of_a_pure_circuit_are_the_features_themselves():
    net, x = network("pure-quantum", observable="xyz-all", encoding="amplitude"), data().train_x[:, :3]
    parameters = net.draw([rng()])
    torch.testing.assert_close(net.logits(parameters, x), net.logits(parameters, 2.0 * x), rtol=0.0, atol=ROUNDING)


@pytest.mark.parametrize("mode", ["full-hybrid", "quantum-only", "pure-quantum"])
def test_training_lowers_the_loss(mode):
    net = network(mode, observable="xyz-all")
    curve = fit(net, prepared(net), Training(mode=mode, epochs=8), learning_rate=0.05, rng=rng()).curve
    assert curve[-1].train_loss < curve[0].train_loss


def prepared(net):
    found, architecture = load(parse_dataset("iris")), net.architectures[0]
    return side_by_side([found if architecture.is_hybrid else principal_components(found, architecture.n_inputs)])


def test_quantum_only_trains_the_circuit_alone():
    parameters = network().draw([rng()])
    assert [id(tensor) for tensor in parameters.trained("quantum-only")] == [id(parameters.circuit)]


def test_the_same_seed_gives_the_same_fit_to_the_last_bit():
    settings = Training(epochs=2)
    first, second = (fit(network(), data(), settings, learning_rate=0.01, rng=rng()) for _ in range(2))
    assert first.curve == second.curve


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_trains(optimizer):
    settings = Training(epochs=4, optimizer=optimizer)
    curve = fit(network(), data(), settings, learning_rate=0.02, rng=rng()).curve
    assert curve[-1].train_loss < curve[0].train_loss


def test_best_reports_the_epoch_of_lowest_validation_loss():
    found = fit(network(), data(), Training(epochs=6), learning_rate=0.5, rng=rng())
    lowest = min(found.curve, key=lambda epoch: epoch.validation_loss)
    assert (found.epoch, found.predictions.loss) == (lowest.epoch, lowest.validation_loss)


def test_last_reports_the_last_epoch():
    found = fit(network(), data(), Training(epochs=3, select="last"), learning_rate=0.5, rng=rng())
    assert (found.epoch, found.predictions.accuracy) == (3, found.curve[-1].validation_accuracy)


def test_a_loss_that_is_not_finite_ends_the_training():
    found = data()
    broken = Data(found.train_x * math.nan, found.train_y, found.validation_x, found.validation_y)
    with pytest.raises(TrainingDiverged, match="training loss became nan in epoch 1"):
        fit(network(), broken, Training(epochs=2), learning_rate=0.01, rng=rng())


def test_a_learning_rate_without_bound_diverges():
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        fit(network(), data(), Training(epochs=5, optimizer="sgd"), learning_rate=1e200, rng=rng())


def gradients(mode, net=None, n_draws=200):
    settings = GradientSettings(samples=n_draws, batch_size=4)
    (found,) = loss_gradients(net or network(), data(), settings, mode=mode, rngs=[rng()])
    return found


def test_quantum_gradients_are_over_circuit_weights():
    assert gradients("quantum-only").values.shape == (200, network().architectures[0].circuit.n_weights)


def test_hybrid_gradients_are_over_all_parameters():
    n_parameters = sum(parameter.numel() for parameter in network().draw([rng()]).trained("full-hybrid"))
    assert gradients("full-hybrid").values.shape == (200, n_parameters)


def test_the_definition_follows_the_mode():
    assert (gradients("quantum-only").definition, gradients("full-hybrid").definition) == ("quantum", "hybrid")


def test_gradients_of_many_draws_are_those_of_each_draw():
    net, n_draws = network(pre_layers=[[3]]), 200
    found = gradients("full-hybrid", net, n_draws).values
    # The same sequence of draws as in loss_gradients: the batch, the frozen parameters, the draws.
    generator = rng()
    rows = torch.from_numpy(generator.permutation(len(data().train_y))[:4])
    net.draw([generator])
    drawn = net.draw([generator], draws=n_draws)
    for m in (0, 137):
        leaves = [tensor[:, m].clone().requires_grad_() for tensor in drawn.trained("full-hybrid")]
        logits = net.logits(Parameters((leaves[0],), leaves[1]), data().train_x[:, rows])
        expected = torch.autograd.grad(cross_entropy(logits[0], data().train_y[rows]), leaves)
        np.testing.assert_allclose(found[m], torch.cat([g.flatten() for g in expected]), atol=ROUNDING)


def test_gradients_do_not_depend_on_how_they_are_split(monkeypatch):
    net = network()
    whole = gradients("quantum-only", net).values
    monkeypatch.setattr(type(net.engine), "rows_at_once", lambda *_args, **_kwargs: 40)
    np.testing.assert_allclose(gradients("quantum-only", net).values, whole, atol=ROUNDING)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
def test_a_step_at_rate_1_scaled_is_the_step_of_the_optimizer(optimizer):
    net, settings = network(), Training(epochs=1, optimizer=optimizer, batch_size=1_000)
    parameters, expected = net.draw([rng()]), net.draw([rng()])
    found = data()
    leaves = [tensor.requires_grad_() for tensor in expected.trained("full-hybrid")]
    reference = _OPTIMIZERS[optimizer](leaves, lr=0.03)
    descent = _Descent(net, parameters, settings, [0.03])
    for _ in range(3):
        reference.zero_grad()
        loss = cross_entropy(net.logits(expected, found.train_x)[0], found.train_y)
        loss.backward()
        reference.step()
        descent.step(cross_entropy(net.logits(parameters, found.train_x)[0], found.train_y))
    for ours, theirs in zip(parameters.trained("full-hybrid"), leaves, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=SCALED_STEP)


def test_a_fit_keeps_the_parameters_that_it_reports():
    wide, narrow = network(layers=2, pre_layers=[3]), network()
    nets = HybridNetworks((*wide.architectures, *narrow.architectures), wide.engine)
    settings = Training(epochs=6)
    found = fit_bundle(nets, data(), settings, learning_rates=[0.5, 0.01], rngs=[rng(1), rng(2)])
    again = predict(nets, nets.together([one.parameters for one in found]), data().validation_x, data().validation_y)
    assert found[0].epoch < settings.epochs  # later steps must not reach what was kept
    for one, predictions in zip(found, again, strict=True):
        np.testing.assert_allclose(predictions.losses, one.predictions.losses, atol=ROUNDING)


@pytest.mark.parametrize(("n_rows", "n_in", "n_out"), [(64, 1, 8), (106, 1, 4), (7, 64, 1), (64, 8, 1), (32, 4, 3)])
def test_a_layer_has_the_bits_that_it_has_alone(n_rows, n_in, n_out):
    generator = torch.Generator().manual_seed(1)
    shapes = (2, n_rows, n_in), (2, n_out * n_in), (2, n_rows, n_out)
    x, flat, factors = (torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes)

    def first(n):
        leaves = [x[:n].clone().requires_grad_(), flat[:n].clone().requires_grad_()]
        y = _product(leaves[0], leaves[1].view(n, n_out, n_in).mT)
        return [one[0] for one in (y.detach(), *torch.autograd.grad((y * factors[:n]).sum(), leaves))]

    assert all(torch.equal(alone, beside) for alone, beside in zip(first(1), first(2), strict=True))
