import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hqnas.client import read_document, searches_of
from nas.spec import SearchSpec, parse_spec

EXAMPLES = Path(__file__).parents[3] / "examples"
SPECS = sorted(EXAMPLES.rglob("*.yaml"))


def spec_of(name: str) -> SearchSpec:
    return parse_spec(read_document(EXAMPLES / name))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_example_is_a_valid_spec(path: Path) -> None:
    for document in searches_of(read_document(path)):
        parse_spec(document)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_example_says_how_to_submit_it(path: Path) -> None:
    command = "sweep" if isinstance(read_document(path).get("training", {}).get("mode"), list) else "submit"
    assert f"hqnas {command} examples/{path.relative_to(EXAMPLES)}" in path.read_text()


def test_examples_are_all_there() -> None:
    assert [path.stem for path in SPECS] == [
        "breast-cancer",
        "diabetes",
        "digits",
        "paper-full-hybrid",
        "paper-quantum-only",
        "paper-sweep",
        "search",
        "sweep",
        "synthetic-binary",
        "templates",
        "wine",
    ]


def test_wine_example_plans_at_least_100_candidates() -> None:
    spec = spec_of("wine.yaml")
    budget = spec.budget.evaluations

    assert budget is not None
    assert min(budget, spec.algorithm.population * spec.algorithm.generations) >= 100


def test_wine_example_has_the_three_objectives_of_the_paper() -> None:
    objectives = {objective.metric: objective.is_maximized for objective in spec_of("wine.yaml").objectives}

    assert objectives == {"validation_accuracy": True, "expressibility": False, "gradient_variance": True}


def test_paper_pair_differs_in_name_and_mode_alone() -> None:
    def rest(name: str) -> dict[str, Any]:
        document = read_document(EXAMPLES / name)
        del document["name"], document["training"]["mode"]
        return dict(document)

    assert rest("paper-full-hybrid.yaml") == rest("paper-quantum-only.yaml")


def test_paper_pair_compares_the_two_modes() -> None:
    modes = [spec_of(f"paper-{mode}.yaml").training.mode for mode in ("full-hybrid", "quantum-only")]

    assert modes == ["full-hybrid", "quantum-only"]


def test_paper_sweep_measures_the_same_grid_in_all_three_modes() -> None:
    searches = [parse_spec(document) for document in searches_of(read_document(EXAMPLES / "paper-sweep.yaml"))]

    assert [spec.training.mode for spec in searches] == ["pure-quantum", "quantum-only", "full-hybrid"]
    assert {spec.algorithm.name for spec in searches} == {"grid"}
    assert [spec.n_planned for spec in searches] == [36, 36, 36]
    assert {spec.metrics.replicates for spec in searches} == {3}


@pytest.mark.parametrize("name", ["paper-full-hybrid.yaml", "paper-quantum-only.yaml", "paper-sweep.yaml"])
def test_paper_pair_claims_no_numbers_of_the_paper(name: str) -> None:
    text = " ".join((EXAMPLES / name).read_text().replace("#", " ").split())

    assert "nothing claims to reproduce the paper's numbers" in text


def test_demo_without_a_service_says_so_and_fails() -> None:
    program = (
        "import runpy, sys; import hqnas.client.client as c;"
        "c.Client.__init__.__kwdefaults__['patience_s'] = 0.1;"
        f"runpy.run_path({str(EXAMPLES / 'demo.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=EXAMPLES.parent,
        env={"HQNAS_URL": "http://127.0.0.1:9"},
    )

    assert done.returncode == 1
    assert done.stderr.startswith("demo: the API at http://127.0.0.1:9 does not answer")
    assert "Traceback" not in done.stderr
