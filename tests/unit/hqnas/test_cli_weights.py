"""`hqnas weights`, and the learning curves of `hqnas show`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from hqnas import Client
from hqnas.client import NotFound
from hqnas.client.results import Epoch
from hqnas.export import curves_to_csv

from .fake_api import DETAIL

Run = Callable[..., Result]


@pytest.mark.parametrize(("place", "number"), [("best", 1), ("0.0", 0), ("0.1", 1)])
def test_the_file_holds_the_weights_of_the_member_that_was_asked_for(
    run: Run, api: Any, tmp_path: Path, place: str, number: int
) -> None:
    output = tmp_path / "net.safetensors"
    result = run("weights", "latest", place, "-o", str(output))

    assert result.exit_code == 0, result.stderr
    assert output.read_bytes() == f"weights of {api.candidates[number]['id']}".encode()


def test_a_candidate_off_the_front_is_one_sentence(run: Run, tmp_path: Path) -> None:
    result = run("weights", "latest", "1.0", "-o", str(tmp_path / "net.safetensors"))

    assert result.exit_code == 1
    assert "has no weights: it is not on the front" in result.stderr
    assert not list(tmp_path.iterdir())


def test_another_suffix_is_refused_before_anything_is_asked(run: Run, api: Any, tmp_path: Path) -> None:
    result = run("weights", "latest", "0.0", "-o", str(tmp_path / "net.pt"))

    assert (result.exit_code, api.requests) == (1, [])
    assert "has to end in .safetensors" in result.stderr


def test_the_client_gives_the_bytes(client: Client, api: Any, documents: Any) -> None:
    assert client.weights(documents.search_id, api.candidates[0]["id"]).startswith(b"weights of")
    with pytest.raises(NotFound, match="has no weights"):
        client.weights(documents.search_id, api.candidates[2]["id"])


def test_curves_are_shown_as_csv(run: Run) -> None:
    result = run("show", "latest/0.0", "--curves")

    assert result.stdout == "replicate,epoch,train_loss,validation_loss,validation_accuracy\n0,1,0.7,0.6,0.8\n"


def test_curves_of_a_regression_have_its_columns() -> None:
    curve = (Epoch(1, 0.9, 0.8, None, 0.2), Epoch(2, 0.7, 0.6, None, 0.4))

    assert curves_to_csv([curve, curve]) == (
        "replicate,epoch,train_loss,validation_loss,validation_r2\n"
        "0,1,0.9,0.8,0.2\n0,2,0.7,0.6,0.4\n1,1,0.9,0.8,0.2\n1,2,0.7,0.6,0.4\n"
    )


def test_a_candidate_shows_its_rate_its_epoch_and_how_features_became_inputs(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = {
        **DETAIL["evaluation"],
        "data": {"source_features": 64, "circuit_inputs": 4, "reduction": "principal components: 8, then classical"},
        "training": {
            "learning_rate": 0.03,
            "epochs_reported": [4],
            "epochs_run": [7],
            "sweep": [{"learning_rate": 0.3, "validation_loss": None}, {"learning_rate": 0.03, "validation_loss": 0.5}],
        },
    }
    monkeypatch.setitem(DETAIL, "evaluation", evaluation)
    shown = run("show", "latest/0.0").stdout

    assert "64 features to 4 inputs by principal components: 8, then classical" in shown
    assert "trained with learning rate 0.03, the best of 0.3, 0.03; reported: epoch 4 of 7" in shown
