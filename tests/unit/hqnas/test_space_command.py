"""`hqnas space`, `hqnas circuit`, and what `hqnas measure` makes of the latter."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from hqnas.cli.application import app
from nas.algorithms.drawing import every_genome
from nas.algorithms.generation import is_allowed
from nas.circuits import circuit_from_json
from nas.space import Genome, SearchSpace
from nas.spec import parse_spec

ROOT = Path(__file__).parents[3]
SPEC: dict[str, Any] = {
    "name": "small",
    "dataset": {"name": "iris"},
    "space": {
        "qubits": {"min": 2, "max": 4},
        "layers": [1, 2],
        "template": ["layered", "sim-4"],
        "topology": ["none", "linear", "ring"],
        "entangler": ["cnot", "cz"],
        "per_layer": ["topology"],
        "forbid": [{"topology": "ring", "entangler": "cz"}],
    },
    "objectives": [{"metric": "expressibility"}],
    "constraints": [{"metric": "two_qubit_gates", "at_most": 5}],
}
COSTS = ("quantum_parameters", "gates", "two_qubit_gates", "circuit_depth")
Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(**space: Any) -> str:
        file = tmp_path / "spec.json"
        file.write_text(json.dumps({**SPEC, "space": {**SPEC["space"], **space}}))
        return str(file)

    return written


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given, env={"COLUMNS": "140"})


def described(file: str, *arguments: str) -> dict[str, Any]:
    result = run("space", file, "--json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_the_size_counts_points_and_different_architectures(write: Write) -> None:
    found = described(write())
    spec = parse_spec(SPEC)
    allowed = {g.digest for g in every_genome(SearchSpace.from_spec(spec)) if is_allowed(spec, g)}
    # qubits, layers, template, entangler, and a topology for each of two layers.
    assert (found["points"], found["n_variables"]) == (3 * 2 * 2 * 2 * 3 * 3, 6)
    assert found["architectures_without_real_genes"] == len(allowed)


def test_a_real_gene_makes_the_points_infinite_and_the_rest_is_counted(write: Write) -> None:
    file = Path(write(learning_rate={"min": 0.01, "max": 0.1, "log": True}))
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, "objectives": [{"metric": "validation_accuracy"}]}))
    found = described(str(file))
    assert (found["points"], found["real_genes"], found["points_without_real_genes"]) == (None, ["learning_rate"], 216)
    assert "each with any learning_rate of its range" in " ".join(run("space", str(file)).stdout.split())


def test_a_sweep_has_a_space_for_each_mode_and_a_pure_one_no_classical_layers(write: Write) -> None:
    file = Path(write(pre_layers=[[], [8]]))
    document = json.loads(file.read_text())
    modes = ["pure-quantum", "full-hybrid"]
    file.write_text(json.dumps({**document, "training": {"mode": modes}, "objectives": [{"metric": "gates"}]}))
    pure, hybrid = (json.loads(line) for line in run("space", str(file), "--json").stdout.splitlines())
    assert (pure["name"], hybrid["name"]) == ("small-pure-quantum", "small-full-hybrid")
    assert hybrid["points"] == 2 * pure["points"]


def test_a_large_space_is_not_gone_through(write: Write) -> None:
    found = described(write(layers={"min": 1, "max": 64}, per_layer=["topology", "entangler"]))
    assert found["architectures_without_real_genes"] is None
    assert found["points"] == 3 * 64 * 2 * 3**64 * 2**64
    assert "about 10^" in run("space", write(layers={"min": 1, "max": 64})).stdout


def test_each_gene_has_what_it_takes_and_whether_it_is_per_layer(write: Write) -> None:
    genes = {gene["gene"]: gene for gene in described(write())["genes"]}
    assert genes["qubits"]["takes"] == [2, 3, 4]
    assert genes["rotations"]["takes"] == [["ry", "rz"]]
    assert [name for name, gene in genes.items() if gene["is_per_layer"]] == ["topology"]
    assert not genes["learning_rate"]["has_effect"]


def test_genes_without_effect_say_so(write: Write) -> None:
    genes = {gene["gene"]: gene for gene in described(write(template=["sim-1", "sim-4"], forbid=[]))["genes"]}
    assert [name for name, gene in genes.items() if not gene["has_effect"]] == [
        "rotations",
        "entangler",
        "topology",
        "learning_rate",
    ]


def test_samples_are_what_may_be_proposed(write: Write) -> None:
    found = described(write(), "--seed", "3")
    spec = parse_spec(SPEC)
    genomes = [Genome.from_json(sample["genome"]) for sample in found["samples"]]
    assert len(genomes) == len({genome.digest for genome in genomes}) == 10
    assert all(is_allowed(spec, genome) for genome in genomes)
    assert [genome.digest for genome in genomes] == [sample["digest"] for sample in found["samples"]]
    assert {sample["costs"]["qubits"] for sample in found["samples"]} <= {2, 3, 4}


def test_the_seed_decides_the_samples(write: Write) -> None:
    one, again, other = (described(write(), "--seed", seed)["samples"] for seed in ("1", "1", "2"))
    assert one == again != other


def test_the_table_shows_size_genes_forbidden_combinations_and_samples(write: Write) -> None:
    text = run("space", write()).stdout
    for part in (
        "216 combinations of genes",
        "different architectures",
        "per layer",
        "forbidden",
        "two_qubit_gates at most 5",
        "sim-4",
        "2 to 4",
    ):
        assert part in text


def test_a_refused_spec_is_said_with_its_path(write: Write) -> None:
    result = run("space", write(forbid=[{"qubits": 9}]))
    assert result.exit_code == 2
    assert "space.forbid.0.qubits: 'qubits' is never 9 in this space; it takes 2, 3, 4" in result.stderr


def test_no_simulator_is_loaded(write: Write) -> None:
    program = (
        f"import sys; sys.argv = ['hqnas', 'space', {write()!r}]\n"
        "from hqnas.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'torch', 'pennylane', 'sklearn', 'sqlalchemy', 'fastapi'} & set(sys.modules)),"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"


def test_a_circuit_is_json_that_can_be_read_back() -> None:
    found = circuit_from_json(json.loads(run("circuit", "sim-14", "--qubits", "5", "--layers", "2").stdout))
    assert (found.qubits, found.n_weights, found.n_features, len(found.observables)) == (5, 40, 0, 5)


def test_a_circuit_with_an_encoding_has_its_features() -> None:
    arguments = ("circuit", "sim-2", "--layers", "3", "--encoding", "angle-x", "--reuploading")
    found = circuit_from_json(json.loads(run(*arguments).stdout))
    assert sum(operation.angle is not None and bool(operation.angle.features) for operation in found.operations) == 12


def test_a_circuit_can_be_drawn() -> None:
    assert run("circuit", "sim-9", "--qubits", "2", "--draw").stdout.startswith("0: ──H──Z──RX(w0)──")


def test_an_unknown_template_is_told_those_that_there_are() -> None:
    result = run("circuit", "sim-41")
    assert result.exit_code == 2
    assert "there is no template 'sim-41'" in result.stderr
    assert "sim-19" in result.stderr


def test_measure_reads_a_circuit_from_its_standard_input() -> None:
    text = run("circuit", "sim-9").stdout
    result = run(
        "measure", "-", "--metric", "entangling_capability", "--metric", "quantum_parameters", "--json", given=text
    )
    found = json.loads(result.stdout)
    # A cluster state up to local rotations.
    assert found["entangling_capability"]["value"] == pytest.approx(1.0, abs=1e-12)
    assert found["quantum_parameters"]["value"] == 4


@pytest.mark.parametrize(("template", "layers"), [("sim-3", 1), ("sim-14", 2)])
def test_the_page_on_templates_has_what_measure_says(template: str, layers: int) -> None:
    page = (ROOT / "docs" / "templates.md").read_text()
    section = page.split(f"### {template}\n")[1].split("###")[0]
    row = next(line for line in section.splitlines() if line.startswith(f"| {layers} |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    text = run("circuit", template, "--layers", str(layers)).stdout

    def shown(metric: str, *options: str) -> str:
        arguments = ("--metric", metric, "--samples", "5000", "--seed", "1", *options)
        found = json.loads(run("measure", "-", "--json", *arguments, given=text).stdout)[metric]
        return f"{found['value']:.4f} ± {found['std_error']:.4f}"

    costs = [json.loads(run("measure", "-", "--json", "--metric", name, given=text).stdout)[name] for name in COSTS]
    assert cells[1:5] == [str(cost["value"]) for cost in costs]
    assert cells[5:] == [
        shown("expressibility", "--estimator", "sim75"),
        shown("expressibility"),
        shown("entangling_capability"),
    ]


def test_a_broken_standard_input_is_named() -> None:
    result = run("measure", "-", "--metric", "gates", given="nonsense")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("hqnas: standard input: is not JSON")
