"""What computing gives, where it is not the result of an evaluation."""

import uuid
from typing import Any

import pytest

from models.evaluations import Claim
from worker import outcomes


class Ended(BaseException):
    """Stands for the end of the process."""


@pytest.fixture
def claim() -> Claim:
    return Claim(uuid.uuid4(), 1, {"qubits": 2}, {"device": "gpu"})


@pytest.fixture(autouse=True)
def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(status: int) -> None:
        raise Ended(status)

    def fail(*_: Any) -> None:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr("worker.outcomes.os._exit", end)
    monkeypatch.setattr("worker.outcomes._measure", fail)
    monkeypatch.setattr("worker.outcomes.Genome.from_json", dict)


def test_a_process_whose_gpu_is_lost_ends_and_fails_nothing(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("torch.cuda.synchronize", lost)
    with pytest.raises(Ended, match="70"):
        list(outcomes.compute([claim]))


def test_a_failure_on_a_gpu_that_is_well_is_the_evaluations_own(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.synchronize", lambda: None)
    ((_, outcome),) = outcomes.compute([claim])
    assert outcome.error is not None
    assert outcome.error["message"] == "an illegal memory access was encountered"
