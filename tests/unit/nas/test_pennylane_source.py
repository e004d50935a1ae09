"""The PennyLane script of an architecture, run as it is, beside the engine."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from nas.circuits import GATES, Angle, Architecture, Circuit, Operation
from nas.circuits.pennylane_source import pennylane_source
from nas.engines import make_engine
from nas.space import SearchSpace
from nas.spec import parse_spec
from nas.training.hybrid import HybridNetworks

AGREEMENT = 1e-10
ENGINE = make_engine("default.qubit")


def architecture(mode, **space):
    spec = parse_spec(
        {
            "name": "source",
            "dataset": {"name": "wine"},
            "space": {"qubits": 3, "layers": 3, "observable": "xyz-all", **space},
            "training": {"mode": mode},
            "objectives": [{"metric": "validation_accuracy"}],
        }
    )
    return Architecture.build(SearchSpace.from_spec(spec).decode({}), spec)


def executed(source):
    names = {"__name__": "script"}
    exec(compile(source, "script", "exec"), names)
    return names


def loaded(network, built, parameters):
    """Puts the parameters of our network, a bundle of one, into the module of the script."""
    state = {"weights": parameters.circuit[0]}
    rest = parameters.classical[0][0]
    for part, widths in (("before", built.pre_widths), ("after", built.post_widths)):
        for i, (n_in, n_out) in enumerate(pairwise(widths)):
            weight, bias, rest = torch.split(rest, [n_in * n_out, n_out, len(rest) - (n_in + 1) * n_out])
            state |= {f"{part}.{2 * i}.weight": weight.view(n_out, n_in), f"{part}.{2 * i}.bias": bias}
    network.load_state_dict(state)


@pytest.mark.parametrize("encoding", ["angle-x", "angle-y", "angle-z", "amplitude", "iqp"])
@pytest.mark.parametrize(
    ("mode", "layers"),
    [("full-hybrid", {"pre_layers": [[5]], "post_layers": [[4, 6]]}), ("pure-quantum", {})],
)
def test_the_script_gives_the_logits_of_an_evaluation(mode, layers, encoding):
    space = {"entangler": "crx", "topology": "ring", "reuploading": True, "rotations": ["rx", "rz"]}
    built = architecture(mode, encoding=encoding, **space, **layers)
    ours = HybridNetworks((built,), ENGINE)
    parameters = ours.draw([np.random.default_rng(1)])
    network = executed(pennylane_source(built))["Network"]()
    loaded(network, built, parameters)
    n_columns = built.n_features if built.is_hybrid else built.n_inputs
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(4, n_columns)))
    with torch.no_grad():
        torch.testing.assert_close(network(x), ours.logits(parameters, x[None])[0], rtol=0.0, atol=AGREEMENT)


@pytest.mark.parametrize("topology", ["none", "linear", "ring", "star", "full", "pairwise"])
@pytest.mark.parametrize("entangler", ["cnot", "cz", "crx", "crz"])
def test_the_script_has_the_circuit_of_every_wiring(topology, entangler):
    space = {"topology": topology, "entangler": entangler, "qubits": 5, "observable": "zz-pairs"}
    built = architecture("full-hybrid", **space)
    assert_same_expectations(built.circuit, executed(pennylane_source(built))["circuit"])


def assert_same_expectations(circuit, qnode):
    rng = np.random.default_rng(3)
    weights = torch.from_numpy(rng.uniform(0, 6, (1, circuit.n_weights)))
    features = torch.from_numpy(rng.uniform(-2, 2, (1, circuit.n_features)))
    expected = ENGINE.expectations(circuit, weights, features)[0]
    found = torch.stack(qnode(features[0], weights[0]))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=AGREEMENT)


def test_runs_of_every_step_are_written_as_they_are():
    gates = [Operation(name, (0,)) for name, gate in GATES.items() if gate.n_wires == 1 and not gate.has_angle]
    gates += [Operation("rx", (w,), Angle(0.5, weight=2 * (3 - w))) for w in range(4)]
    gates += [Operation("ry", (3 - w,), Angle(-2.0, features=(w, w))) for w in range(4)]
    gates += [Operation("crz", (w, (w + 1) % 4), Angle(weight=0)) for w in range(4)]
    gates += [Operation("rz", (w,), Angle(0.25 * w)) for w in range(4)]
    gates += [Operation("rx", (w,), Angle(0.25)) for w in range(4)] + [Operation("ccx", (0, 1, 2))] * 2
    circuit = Circuit(4, tuple(gates), tuple(((axis, wire),) for axis in "xyz" for wire in range(4)))
    built = architecture("full-hybrid", qubits=4)
    changed = Architecture(built.genome, circuit, 13, 3, 4, (13, 4), (12, 3))
    assert_same_expectations(circuit, executed(pennylane_source(changed))["circuit"])


def test_a_layer_reads_as_a_loop():
    source = pennylane_source(architecture("full-hybrid"))
    assert "    for i in range(3):\n        qml.RY(weights[i], wires=i)\n" in source


def test_the_script_runs_by_itself(capsys):
    source = pennylane_source(architecture("full-hybrid"))
    exec(compile(source, "script", "exec"), {"__name__": "__main__"})
    assert "tensor(" in capsys.readouterr().out


def test_lines_of_a_wide_circuit_stay_short():
    source = pennylane_source(architecture("full-hybrid", qubits=12, observable="xyz-all"))
    assert max(map(len, source.split("\n"))) <= 120


@pytest.mark.parametrize("template", ["sim-9", "sim-13", "strongly-entangling"])
def test_the_script_of_a_template_gives_the_expectations_of_the_engine(template):
    built = architecture("pure-quantum", template=template, qubits=4, layers=2)
    script = executed(source := pennylane_source(built))
    assert template in source.split("\n")[0]
    weights = torch.from_numpy(np.random.default_rng(3).uniform(0, 6, built.circuit.n_weights))
    inputs = torch.tensor([0.3, -0.2, 1.1, 0.7], dtype=torch.float64)
    ours = ENGINE.expectations(built.circuit, weights[None], inputs[None])
    assert torch.allclose(torch.stack(script["circuit"](inputs, weights)), ours[0], atol=AGREEMENT)
