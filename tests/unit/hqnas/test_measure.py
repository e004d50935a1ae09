"""`hqnas measure`."""

import json
import math
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from hqnas.cli.measure import measure
from hqnas.cli.measure_options import MEASURE_EXAMPLE
from nas.spec import METRICS

SIGMAS = 5.0

CIRCUIT = {
    "qubits": 2,
    "operations": [
        {"gate": "rx", "wires": [0], "angle": {"weight": 0}},
        {"gate": "rz", "wires": [0], "angle": {"weight": 1}},
        {"gate": "cx", "wires": [0, 1]},
    ],
    "observables": [{"z": [0]}],
}


@pytest.fixture
def run():
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(measure)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path):
    def written(document=CIRCUIT, name="circuit.json"):
        file = tmp_path / name
        file.write_text(document if isinstance(document, str) else json.dumps(document))
        return file

    return written


def documents(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def single(result):
    (document,) = documents(result)
    return document


def test_expressibility_of_one_rx_is_known(run, write):
    file = write({"qubits": 1, "operations": [{"gate": "rx", "wires": [0], "angle": {"weight": 0}}]})
    arguments = ("--metric", "expressibility", "--estimator", "sim75", "--samples", 20_000, "--seed", 1, "--json")
    found = single(run(file, *arguments))["expressibility"]
    assert found["value"] == pytest.approx(0.19612, abs=SIGMAS * found["std_error"] + 75 / 40_000)
    assert found["protocol"] == {
        "estimator": "sim75",
        "samples": 20_000,
        "bins": 75,
        "weights": "uniform [0, 2π)",
        "features": "zero",
        "engine": "batched",
        "precision": "complex128",
    }


def test_entangling_capability_of_a_bell_pair_is_one(run, write):
    gates = [{"gate": "h", "wires": [0]}, {"gate": "cx", "wires": [0, 1]}]
    file = write({"qubits": 2, "operations": gates})
    found = single(run(file, "--metric", "entangling_capability", "--json"))["entangling_capability"]
    assert found["value"] == pytest.approx(1.0, abs=1e-12)


def test_gradient_variance_has_every_parameter(run, write):
    found = single(run(write(), "--metric", "gradient_variance", "--samples", 4_000, "--json"))["gradient_variance"]
    assert found["per_parameter"][0] == pytest.approx(0.5, abs=SIGMAS * found["per_parameter_std_error"][0])
    assert found["per_parameter"][1] == 0.0
    assert found["dead_parameters"] == 0.5
    assert found["value"] == pytest.approx(math.log10(0.5), abs=SIGMAS * found["std_error"])


def test_without_a_live_parameter_the_value_is_null_and_the_rest_is_there(run, write):
    file = write({**CIRCUIT, "operations": CIRCUIT["operations"][1:]})
    found = single(run(file, "--metric", "gradient_variance", "--json"))["gradient_variance"]
    assert found["value"] is None
    assert (found["per_parameter"], found["dead_parameters"]) == ([0.0, 0.0], 1.0)
    assert "no parameter can change the cost" in found["reason"]


def test_exact_costs_say_so(run, write):
    metrics = ("qubits", "circuit_depth", "gates", "two_qubit_gates", "quantum_parameters")
    options = [option for name in metrics for option in ("--metric", name)]
    found = single(run(write(), *options, "--json"))
    assert {name: found[name]["value"] for name in metrics} == {
        "qubits": 2,
        "circuit_depth": 3,
        "gates": 3,
        "two_qubit_gates": 1,
        "quantum_parameters": 2,
    }
    assert {found[name]["std_error"] for name in metrics} == {"exact"}


OF_CIRCUITS = [name for name, info in METRICS.items() if info.is_of_circuit]
ERROR_RATES = ("--one-qubit-error", 0.1, "--two-qubit-error", 0.2, "--readout-error", 0.5)


def test_every_metric_of_a_circuit_is_offered(run, write):
    options = [option for name in OF_CIRCUITS for option in ("--metric", name)]
    found = single(run(write(), *options, *ERROR_RATES, "--json"))
    assert list(found) == OF_CIRCUITS
    assert all(document["value"] is not None for document in found.values())


def test_the_help_tells_every_metric_and_what_it_is(run):
    text = " ".join(run("--help").stdout.split())
    for name in OF_CIRCUITS:
        assert name in MEASURE_EXAMPLE
        assert METRICS[name].summary in MEASURE_EXAMPLE
    assert "--coupling-map" in text


CHAIN = {
    "qubits": 3,
    "operations": [
        {"gate": "ry", "wires": [0], "angle": {"weight": 0}},
        {"gate": "cx", "wires": [0, 1]},
        {"gate": "cx", "wires": [1, 2]},
        {"gate": "cx", "wires": [0, 2]},
    ],
    "observables": [{"z": [0]}, {"x": [1]}],
}


@pytest.mark.parametrize(
    ("metric", "options", "value"),
    [
        ("routed_two_qubit_gates", (), 6),
        ("routed_two_qubit_gates", ("--coupling-map", "ring"), 3),
        ("routed_depth", ("--coupling-map", "0-1, 1-2, 2-0"), 4),
        ("expected_success", ERROR_RATES, 0.9 * 0.8**3 * 0.5**2),
        ("shots_for_gradient", (), 100),  # Z0 and X1 are read together
        ("shots_for_gradient", ("--gradient-error", 0.01), 10_000),
        ("quantum_fisher_rank", ("--fisher-samples", 2), 1),
        ("gates", (), 4),
    ],
)
def test_costs_on_a_device_are_known(run, write, metric, options, value):
    assert single(run(write(CHAIN), "--metric", metric, *options, "--json"))[metric]["value"] == pytest.approx(value)


def test_the_frame_potential_has_the_order_asked_for(run, write):
    file = write({"qubits": 1, "operations": []})
    found = single(run(file, "--metric", "frame_potential", "--order", 3, "--json"))["frame_potential"]
    assert found["value"] == pytest.approx(4.0)  # 1 over 3! 1!/4! of Haar
    assert [each["t"] for each in found["orders"]] == [1, 2, 3]


def test_bins_are_those_of_the_estimator(run, write):
    found = single(run(write(), "--metric", "expressibility", "--bins", 20, "--json"))["expressibility"]
    assert found["protocol"]["bins"] == 20


def test_metrics_of_the_same_draws_agree(run, write):
    options = [option for name in ("dead_parameters", "gradient_variance_pure") for option in ("--metric", name)]
    found = single(run(write(), "--metric", "gradient_variance", *options, "--json"))
    assert found["gradient_variance"] == found["gradient_variance_pure"]
    assert found["dead_parameters"]["value"] == found["gradient_variance"]["dead_parameters"]


def test_flops_come_in_two_parts(run, write):
    found = single(run(write(), "--metric", "flops", "--json"))["flops"]
    assert found["value"] == found["quantum_forward"] + found["quantum_backward"]


def test_metrics_come_in_the_order_asked_for(run, write):
    found = single(run(write(), "--metric", "gates", "--metric", "expressibility", "--metric", "qubits", "--json"))
    assert list(found) == ["gates", "expressibility", "qubits"]


def value(run, *arguments):
    found = documents(run(*arguments, "--metric", "expressibility", "--json"))
    return [document["expressibility"]["value"] for document in found]


def test_the_same_seed_gives_the_same_value(run, write):
    assert value(run, write(), "--seed", 3) == value(run, write(), "--seed", 3)


def test_another_seed_gives_another_value(run, write):
    assert value(run, write(), "--seed", 3) != value(run, write(), "--seed", 4)


def test_a_value_depends_neither_on_the_other_files_nor_on_the_other_metrics(run, write):
    other = write({"qubits": 1, "operations": []}, "other.json")
    alone = value(run, write())
    assert value(run, other, write(), "--metric", "entangling_capability")[1:] == alone


def test_engines_agree(run, write):
    ours, theirs = (value(run, write(), "--samples", 100, "--engine", f"{e}.qubit") for e in ("default", "lightning"))
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_a_measurement_names_engine_and_precision(run, write):
    arguments = ("--metric", "expressibility", "--precision", "complex64")
    protocol = single(run(write(), *arguments, "--json"))["expressibility"]["protocol"]
    assert (protocol["engine"], protocol["precision"]) == ("batched", "complex64")
    assert "simulated by batched, complex64" in run(write(), *arguments).stdout


def test_a_precision_that_the_engine_lacks_is_refused(run, write):
    arguments = ("--metric", "expressibility", "--engine", "default.qubit", "--precision", "complex64")
    found = run(write(), *arguments)
    assert found.exit_code == 2
    assert "default.qubit computes in complex128 and not in complex64" in " ".join(found.output.split())


def test_gradients_too_large_for_a_variance_leave_the_other_files_measured(run, write):
    angle = {"weight": 0, "scale": 1e200}
    large = write(
        {"qubits": 1, "operations": [{"gate": "ry", "wires": [0], "angle": angle}], "observables": [{"z": [0]}]}
    )
    found = run(large, write(name="other.json"), "--metric", "gradient_variance", "--json")
    assert (found.exit_code, len(found.stdout.splitlines())) == (2, 1)
    assert "too large to square" in found.stderr


def test_without_json_there_is_a_table(run, write):
    found = run(write(), "--metric", "gates", "--metric", "gradient_variance")
    assert found.exit_code == 0
    assert "gradient_variance" in found.stdout
    assert "log10" in found.stdout


def test_the_table_says_what_is_undefined_and_why(run, write):
    file = write({**CIRCUIT, "operations": CIRCUIT["operations"][1:]})
    found = run(file, "--metric", "gradient_variance")
    assert "undefined" in found.stdout
    assert "no parameter can change the cost" in found.stdout


BROKEN = {
    "text": ("this is no circuit", "is not JSON"),
    "empty": (" \n", "is empty, and a circuit is a JSON document"),
    "nan": ('{"qubits": 1, "operations": [{"gate": "rx", "wires": [0], "angle": NaN}]}', "NaN is no number of JSON"),
    "infinite": ('{"qubits": 1, "operations": [{"gate": "rx", "wires": [0], "angle": 1e999}]}', "operations[0].angle"),
    "whole number beyond floats": (
        '{"qubits": 1, "operations": [{"gate": "rx", "wires": [0], "angle": 1%s}]}' % ("0" * 400),
        "operations[0].angle: must be a finite number",
    ),
    "whole number beyond Python": ('{"qubits": 1%s}' % ("0" * 5_000), "is not JSON"),
    "twice": ('{"qubits": 1, "qubits": 2, "operations": []}', "the key 'qubits' stands twice"),
    "deep": ("[" * 100_000, "nested too deeply"),
    "list": ("[]", "circuit: must be an object"),
    "gate": (
        '{"qubits": 1, "operations": [{"gate": "u3", "wires": [0]}]}',
        "operations[0].gate: there is no gate 'u3'",
    ),
    "wire": ('{"qubits": 1, "operations": [{"gate": "h", "wires": [1]}]}', "operations[0].wires"),
    "no observable": ('{"qubits": 1, "operations": []}', "needs an observable"),
    "wide": (json.dumps({**CIRCUIT, "qubits": 20}), "holds at most 16 qubits"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_one_sentence_that_names_it(run, write, case):
    text, reason = BROKEN[case]
    result = run(write(text), "--metric", "gradient_variance", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    assert "circuit.json: " in line
    assert reason in line


def test_a_missing_file_is_named(run, tmp_path):
    result = run(tmp_path / "missing.json", "--metric", "gates")
    assert result.exit_code == 2
    assert "missing.json: cannot be read: No such file or directory" in result.stderr


def test_a_directory_is_named(run, tmp_path):
    result = run(tmp_path, "--metric", "gates")
    assert result.exit_code == 2
    assert "cannot be read: Is a directory" in result.stderr


def test_a_binary_file_is_no_json(run, tmp_path):
    file = tmp_path / "circuit.bin"
    file.write_bytes(bytes(range(256)))
    assert "is not UTF-8 text" in run(file, "--metric", "gates").stderr


def test_an_endless_file_is_not_read_to_its_end(run):
    assert "is larger than 32 MiB" in run("/dev/zero", "--metric", "gates").stderr


def test_a_long_sentence_is_cut(run, write):
    line = run(write({"x" * 10_000: 1}), "--metric", "gates").stderr
    assert len(line) < 1_000


def test_control_characters_of_a_name_do_not_reach_the_terminal(run, tmp_path):
    assert "\x1b" not in run(tmp_path / "\x1b[31m.json", "--metric", "gates").stderr


def test_good_files_are_measured_beside_broken_ones(run, write, tmp_path):
    good = write()
    result = run(good, tmp_path / "missing.json", good, "--metric", "gates", "--json")
    assert result.exit_code == 2
    assert [json.loads(line)["gates"]["value"] for line in result.stdout.splitlines()] == [3, 3]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--metric", "accuracy"), "does not exist"),
        (("--metric", "validation_accuracy"), "needs more than a circuit"),
        (("--metric", "expressibility", "--engine", "qiskit"), "there is no engine 'qiskit'"),
        (("--metric", "expressibility", "--samples", "1"), "--samples"),
        (("--metric", "expressibility", "--samples", "many"), "--samples"),
        (("--metric", "expressibility", "--samples", "50"), "take at least 100"),
        (("--metric", "gradient_variance", "--samples", "2"), "take at least 10"),
        (("--metric", "expressibility", "--seed", "-1"), "--seed"),
        (("--metric", "expressibility", "--estimator", "kde"), "--estimator"),
        (("--metric", "expressibility", "--estimator", "sim75", "--bins", "20"), "sim75 has 75 bins"),
        (("--metric", "gradient_variance_hybrid"), "needs more than a circuit"),
        (("--metric", "frame_potential", "--samples", "50"), "take at least 100"),
        (("--metric", "frame_potential", "--order", "9"), "--order"),
        (("--metric", "expected_success"), "needs --one-qubit-error and --two-qubit-error"),
        (("--metric", "expected_success", "--one-qubit-error", "2", "--two-qubit-error", "0.1"), "--one-qubit-error"),
        (("--metric", "routed_depth", "--coupling-map", "star"), "'heavy-hex', not 'star'"),
        (("--metric", "routed_depth", "--coupling-map", "0-1,2-3"), "no path leads from wire 0 to wire 2"),
        (("--metric", "routed_depth", "--coupling-map", "0-1-2"), "--coupling-map"),
        (("--metric", "routed_depth", "--routing-trials", "1000"), "--routing-trials"),
        (("--metric", "shots_for_gradient", "--gradient-error", "0"), "--gradient-error"),
        ((), "--metric"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name(run, write, options, reason):
    result = run(write(), *options)
    assert result.exit_code == 2
    assert reason in " ".join(result.stderr.replace("│", " ").split())


@pytest.mark.parametrize(
    ("operation", "metric", "reason"),
    [
        ({"gate": "amplitude", "wires": [], "features": [0, 0]}, "gates", "at least one wire"),
        ({"gate": "rx", "wires": [0], "angle": {"weight": 0, "scale": 1e308}}, "expressibility", "not finite"),
        ({"gate": "rx", "wires": [0], "angle": {"weight": 99_999}}, "gradient_variance", "lower --samples"),
        (
            {"gate": "rx", "wires": [0], "angle": {"weight": 99_999}},
            "quantum_fisher_rank",
            "at most 10 qubits, and 512",
        ),
    ],
)
def test_a_circuit_that_cannot_be_measured_is_a_sentence(run, tmp_path, operation, metric, reason):
    circuit = {"qubits": 1, "operations": [operation], "observables": [{"z": [0]}]}
    (tmp_path / "odd.json").write_text(json.dumps(circuit))
    result = run(tmp_path / "odd.json", "--metric", metric, "--samples", 1_000_000 if "gradient" in metric else 100)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


def test_an_engine_that_is_absent_is_a_sentence(run, write):
    result = run(write(), "--metric", "expressibility", "--engine", "lightning.gpu")
    if result.exit_code == 0:
        pytest.skip("this machine has lightning.gpu")
    assert result.exit_code == 2
    assert "lightning.gpu cannot run here" in result.stderr


def without(package, *arguments):
    """Runs the command in a Python that has no such package."""
    program = (
        f"import sys, typer; sys.modules[{package!r}] = None\n"
        "from hqnas.cli.measure import measure\n"
        "app = typer.Typer(); app.command()(measure); app()"
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_missing_simulator_is_an_installation_to_complete(write):
    result = without("torch", write(), "--metric", "expressibility")
    assert result.returncode == 1
    assert "install 'hqnas[worker]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_exact_costs_need_no_simulator(write):
    options = ("--metric", "gates", "--metric", "shots_for_gradient", "--metric", "expected_success", *ERROR_RATES)
    assert without("torch", write(), *options, "--json").returncode == 0
