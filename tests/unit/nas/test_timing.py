"""The measuring of engines, with engines and a clock of the test's own: what is timed, and when a ladder ends."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from nas.circuits import Circuit
from nas.engines.timing import Hardware, calibrate
from nas.errors import EngineUnavailable

HERE = Hardware(key="k", device="cpu", device_name="a machine", n_devices=1, memory_bytes=2**34)


class Step(NamedTuple):
    circuits: int
    rows: int
    qubits: int


Cost = Callable[[Step], float]  #: seconds


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Pretender:
    """An engine that computes nothing and lets the clock run."""

    def __init__(self, name: str, cost: Cost, clock: Clock) -> None:
        self.name = name
        self._cost, self._clock = cost, clock

    def bundle_expectations(self, circuits: Sequence[Circuit], weights: Tensor, features: Tensor) -> Tensor:
        self._clock.now_s += self._cost(Step(len(circuits), features.shape[1], circuits[0].qubits))
        return weights.sum() + features.sum()


def measured(**costs: Cost) -> Any:
    """Calibrates engines of these costs; `lightning` stands for lightning.qubit, and the others are not there."""
    clock = Clock()

    def make(name: str, device: str) -> Any:
        cost = costs.get(name.partition(".")[0])
        if cost is None:
            raise EngineUnavailable(f"{name} cannot run here")
        return Pretender(name, cost, clock)

    return calibrate(HERE, make=make, clock=clock)


def cheap(step: Step) -> float:
    return step.circuits * step.rows * 2.0**step.qubits * 1e-9


def dear(step: Step) -> float:
    return step.rows * 2.0**step.qubits * 1e-5


def test_one_row_and_many_are_timed_at_each_width() -> None:
    points = {
        point.qubits: point for point in measured(batched=lambda step: step.rows * step.qubits * 1e-5).times["batched"]
    }
    assert points[6].one_row_s == pytest.approx(6e-5)
    assert points[6].many_rows_s == pytest.approx(32 * 6e-5)
    assert list(points) == list(range(2, 17, 2))


def test_an_engine_that_takes_rows_in_turn_is_timed_with_one() -> None:
    points = measured(lightning=cheap).times["lightning.qubit"]
    assert all(point.is_scaled and point.many_rows_s == pytest.approx(32 * point.one_row_s) for point in points)


def test_a_ladder_ends_before_a_step_that_takes_long() -> None:
    found = measured(batched=dear)
    assert max(point.qubits for point in found.times["batched"]) == 10
    assert found.seconds < 5


def test_a_slow_step_is_timed_with_fewer_rows() -> None:
    last = measured(batched=dear).times["batched"][-1]
    assert last.is_scaled
    assert last.many_rows_s == pytest.approx(32 * 2.0**10 * 1e-5)


def test_what_cannot_run_here_has_no_times() -> None:
    found = measured(lightning=cheap)
    assert set(found.times) == {"lightning.qubit"}
    assert found.bundles == []


def test_a_machine_without_any_engine_has_an_empty_calibration() -> None:
    assert measured().times == {}


def test_a_bundle_that_saves_nothing_has_size_one() -> None:
    (found,) = measured(batched=cheap).bundles
    assert (found.qubits, found.size) == (2, 1)


def test_the_smallest_bundle_that_is_nearly_best_is_taken() -> None:
    found = measured(batched=lambda step: max(4, step.circuits) * 0.25e-3).bundles
    assert {point.size for point in found} == {4}
    assert found[0].gain == pytest.approx(4.0)


def test_a_larger_bundle_is_taken_where_it_gains_more() -> None:
    assert measured(batched=lambda _: 1e-3).bundles[0].size == 16


def test_the_last_width_of_the_bundles_is_the_first_that_does_not_pay() -> None:
    found = measured(batched=lambda step: 1e-3 if step.qubits < 6 else step.circuits * 1e-3).bundles
    assert [(point.qubits, point.size) for point in found] == [(2, 16), (4, 16), (6, 1)]


def test_bundles_are_not_tried_where_a_step_is_long() -> None:
    assert measured(batched=lambda _: 0.02).bundles == []


def test_a_clock_too_coarse_to_see_a_step_gives_times_all_the_same() -> None:
    assert measured(batched=lambda _: 0.0).times["batched"][0].one_row_s > 0


def test_the_real_engines_of_a_processor_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.engines.timing._WIDTHS", range(2, 5, 2))
    n_threads = torch.get_num_threads()
    found = calibrate(HERE)
    assert set(found.times) == {"batched", "lightning.qubit"}
    assert torch.get_num_threads() == n_threads
