import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from hqnas.client import Client, RefusedSpec, searches_of

Run = Callable[..., Result]

MODES = ["pure-quantum", "quantum-only", "full-hybrid"]


@pytest.fixture
def spec(documents: Any) -> dict[str, Any]:
    objectives = [{"metric": "expressibility"}, {"metric": "gradient_variance"}]
    space = {"qubits": [2, 3], "layers": [1, 2], "pre_layers": [[], [8]]}
    algorithm = {"name": "grid"}
    return {
        **documents.spec,
        "space": space,
        "objectives": objectives,
        "algorithm": algorithm,
        "training": {"mode": MODES, "seed": 5},
    }


def test_a_sweep_is_one_search_for_each_mode(spec: dict[str, Any]) -> None:
    found = searches_of(spec)

    assert [one["training"] for one in found] == [{"mode": mode, "seed": 5} for mode in MODES]
    assert [one["name"] for one in found] == [f"small-{mode}" for mode in MODES]
    assert found[1] | {"name": "", "training": {}} == found[2] | {"name": "", "training": {}}


def test_a_pure_circuit_has_no_classical_layers_in_a_sweep(spec: dict[str, Any]) -> None:
    spaces = [one["space"] for one in searches_of(spec)]

    assert spaces[0] == {"qubits": [2, 3], "layers": [1, 2]}
    assert spaces[1] == spaces[2] == spec["space"]


def test_a_spec_with_one_mode_is_one_search_as_it_is(documents: Any) -> None:
    assert searches_of(documents.spec) == [documents.spec]


@pytest.mark.parametrize(("modes", "sentence"), [([], "is empty"), (["full-hybrid"] * 2, "stands twice")])
def test_modes_that_are_no_sweep_are_refused(spec: dict[str, Any], modes: list[str], sentence: str) -> None:
    with pytest.raises(RefusedSpec, match=f"training.mode: .*{sentence}"):
        searches_of({**spec, "training": {"mode": modes}})


def test_the_client_submits_every_search_of_a_sweep(client: Client, api: Any, spec: dict[str, Any]) -> None:
    found = client.sweep(spec)

    assert [api.searches[search.id]["spec"] for search in found] == searches_of(spec)


def test_a_sweep_with_one_key_is_submitted_once(client: Client, spec: dict[str, Any]) -> None:
    assert client.sweep(spec, idempotency_key="k") == client.sweep(spec, idempotency_key="k")


def test_a_sweep_is_submitted_whole_or_not_at_all(client: Client, api: Any, spec: dict[str, Any]) -> None:
    genuine = client.submit

    def submit(document: Any, **options: Any) -> Any:
        # The stand-in refuses a spec without a space.
        is_last = document["training"]["mode"] == "full-hybrid"
        return genuine({"name": "x"} if is_last else document, **options)

    client.submit = submit  # type: ignore[method-assign]
    before = set(api.searches)
    with pytest.raises(RefusedSpec):
        client.sweep(spec)
    assert [api.searches[one]["state"] for one in set(api.searches) - before] == ["cancelled"] * 2


def test_sweep_prints_the_id_of_every_search(run: Run, tmp_path: Path, spec: dict[str, Any], api: Any) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    result = run("sweep", str(tmp_path / "spec.json"))

    assert result.exit_code == 0
    assert [api.searches[one]["name"] for one in result.stdout.split()] == [f"small-{mode}" for mode in MODES]


def test_sweep_says_in_which_modes_a_problem_is_and_sends_nothing(
    run: Run, tmp_path: Path, spec: dict[str, Any], api: Any
) -> None:
    spec["objectives"].append({"metric": "classical_parameters"})
    spec["engine"] = "fast"
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    everywhere = run("sweep", str(tmp_path / "spec.json"))
    del spec["engine"]
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    in_one = run("sweep", str(tmp_path / "spec.json"))

    assert (everywhere.exit_code, in_one.exit_code) == (2, 2)
    assert "(in " not in everywhere.stderr
    assert "no classical parameters to count" in in_one.stderr
    assert "(in pure-quantum)" in in_one.stderr
    assert api.requests == []


def test_submitting_a_sweep_as_one_search_says_what_to_do(run: Run, tmp_path: Path, spec: dict[str, Any]) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    result = run("submit", str(tmp_path / "spec.json"))

    assert result.exit_code == 2
    assert "training.mode: a search has one training mode; `hqnas sweep` submits" in " ".join(result.stderr.split())
