"""What follows from calibrations: the engine of a width, and the size of a bundle. All times here are made up."""

import json
from typing import Any

import pytest
from calibrations import calibration

from nas.calibration import (
    CalibratedWorker,
    Calibration,
    InvalidCalibration,
    NothingHolds,
    StepTime,
    bundle_sizes,
    choose_engine,
    choose_engines,
)
from nas.spec import SearchSpec, parse_spec

GIB = 2**30


def workers(*calibrations: Calibration, n_slots: int = 1) -> list[CalibratedWorker]:
    return [CalibratedWorker(n_slots, one) for one in calibrations]


def chosen(found: list[CalibratedWorker], qubits: int, *, rows: int = 32, precision: Any = "complex128") -> str | None:
    return choose_engine(found, qubits=qubits, rows=rows, precision=precision)


def spec(**changes: Any) -> SearchSpec:
    return parse_spec(
        {
            "name": "auto",
            "dataset": {"name": "iris"},
            "space": {"qubits": [2, 4, 20], "layers": 1},
            "objectives": [{"metric": "validation_accuracy"}],
            **changes,
        }
    )


def test_the_faster_engine_of_a_width_is_chosen() -> None:
    found = workers(calibration())
    # 1e-4 · 2^q and 1e-2 · 1.25^q cross at q = ln(100) / ln(1.6) = 9.8.
    assert [chosen(found, q) for q in (2, 9, 10, 12)] == ["batched", "batched", "lightning.qubit", "lightning.qubit"]


def test_times_between_measured_widths_are_interpolated_in_the_logarithm() -> None:
    assert calibration().seconds_of("batched", qubits=5, rows=32) == pytest.approx(1e-4 * 2**5)


def test_beyond_the_last_width_times_go_on_as_before() -> None:
    steep = calibration(curves={"batched": (1e-4, 3.0)})
    assert steep.seconds_of("batched", qubits=14, rows=32) == pytest.approx(1e-4 * 3**14)


def test_beyond_the_last_width_times_at_least_double_with_each_qubit() -> None:
    flat = calibration(curves={"batched": (1e-4, 1.0)})
    assert flat.seconds_of("batched", qubits=14, rows=32) == pytest.approx(4e-4)


def test_below_the_first_width_a_step_takes_no_less() -> None:
    assert calibration().seconds_of("batched", qubits=1, rows=32) == pytest.approx(4e-4)


def test_the_time_is_linear_in_the_rows() -> None:
    point = StepTime(qubits=2, one_row_s=1e-3, many_rows_s=4e-3)
    found = calibration(times={"batched": [point]})
    assert found.seconds_of("batched", qubits=2, rows=1) == pytest.approx(1e-3)
    assert found.seconds_of("batched", qubits=2, rows=63) == pytest.approx(7e-3)


def test_many_rows_that_were_faster_than_one_do_not_make_more_rows_free() -> None:
    found = calibration(times={"batched": [StepTime(qubits=2, one_row_s=4e-3, many_rows_s=3e-3)]})
    assert found.seconds_of("batched", qubits=2, rows=1000) == pytest.approx(4e-3)


def test_the_batch_decides_with_the_width() -> None:
    times = {
        "batched": [StepTime(qubits=4, one_row_s=5e-3, many_rows_s=6e-3)],
        "lightning.qubit": [StepTime(qubits=4, one_row_s=1e-3, many_rows_s=32e-3)],
    }
    found = workers(calibration(times=times))
    assert (chosen(found, 4, rows=1), chosen(found, 4, rows=32)) == ("lightning.qubit", "batched")


def test_an_engine_that_is_not_there_has_no_time_and_is_not_chosen() -> None:
    alone = calibration(curves={"lightning.qubit": (1e-2, 1.25)})
    assert alone.seconds_of("batched", qubits=2, rows=1) is None
    assert chosen(workers(alone), 2) == "lightning.qubit"


def test_an_engine_is_not_chosen_beyond_its_width() -> None:
    slow = calibration(curves={"batched": (1e-6, 1.0), "lightning.qubit": (1.0, 2.0)})
    assert (chosen(workers(slow), 16), chosen(workers(slow), 17)) == ("batched", "lightning.qubit")


def test_the_memory_of_a_slot_bounds_the_width() -> None:
    small = calibration(memory_bytes=2 * GIB)
    # Eight state vectors of 2^24 amplitudes at 16 bytes are 2 GiB.
    assert small.widest("lightning.qubit", precision="complex128", n_slots=1) == 24
    assert small.widest("lightning.qubit", precision="complex128", n_slots=2) == 23
    assert small.widest("lightning.qubit", precision="complex64", n_slots=2) == 24
    assert chosen(workers(small, n_slots=4), 23) is None


def test_each_of_several_gpus_has_its_own_memory() -> None:
    cards = calibration(device="gpu", memory_bytes=2 * GIB, n_devices=2)
    assert cards.widest("lightning.gpu", precision="complex128", n_slots=2) == 24
    assert cards.widest("lightning.gpu", precision="complex128", n_slots=1) == 24


def test_workers_choose_what_they_together_do_most_steps_with() -> None:
    quick = calibration(curves={"batched": (1e-4, 1.0), "lightning.qubit": (1e-3, 1.0)})
    other = calibration(curves={"batched": (1e-2, 1.0), "lightning.qubit": (1e-3, 1.0)})
    assert chosen(workers(quick, other), 4) == "batched"
    many = [CalibratedWorker(1, quick), CalibratedWorker(30, other)]
    assert chosen(many, 4) == "lightning.qubit"


def test_the_order_of_the_workers_does_not_matter() -> None:
    found = workers(*(calibration(curves={"batched": (i * 1e-4, 1.1), "lightning.qubit": LINE}) for i in range(1, 9)))
    assert {chosen(found[i:] + found[:i], 12) for i in range(8)} == {chosen(found, 12)}


LINE = (7e-4, 1.05)


def test_an_engine_that_one_worker_lacks_comes_after_those_that_all_have() -> None:
    both = calibration(curves={"batched": (1e-6, 1.0), "lightning.qubit": (1.0, 1.0)})
    one = calibration(curves={"lightning.qubit": (1.0, 1.0)})
    assert chosen(workers(both), 4) == "batched"
    assert chosen(workers(both, one), 4) == "lightning.qubit"


def test_a_space_gets_an_engine_for_each_of_its_qubit_counts() -> None:
    expected = {2: "batched", 4: "batched", 20: "lightning.qubit"}
    assert choose_engines(spec(), workers(calibration())) == expected


def test_a_named_engine_needs_no_worker() -> None:
    assert choose_engines(spec(engine="lightning.qubit"), []) == dict.fromkeys([2, 4, 20], "lightning.qubit")


def test_without_a_worker_the_sentence_says_which_to_start() -> None:
    with pytest.raises(NothingHolds, match="hqnas worker --device gpu"):
        choose_engines(spec(device="gpu"), [])


def test_a_width_that_no_worker_holds_is_named() -> None:
    with pytest.raises(NothingHolds, match="memory for 20 qubits at complex128"):
        choose_engines(spec(), workers(calibration(memory_bytes=GIB // 64)))


def test_a_bundle_has_the_size_of_the_next_width_measured() -> None:
    found = calibration(bundles={2: 16, 6: 4, 8: 1})
    assert [found.bundle_size(q) for q in (1, 2, 3, 6, 7, 9)] == [16, 16, 4, 4, 1, 1]


def test_bundles_are_no_larger_than_pays_on_every_machine() -> None:
    assert bundle_sizes([calibration(bundles={2: 16, 6: 4}), calibration(bundles={2: 4, 4: 16})]) == {
        1: 4,
        2: 4,
        3: 4,
        4: 4,
    }
    assert bundle_sizes([]) == {}
    assert bundle_sizes([calibration(bundles={2: 16}), calibration()]) == {}


def test_a_calibration_survives_json() -> None:
    found = calibration(bundles={2: 16})
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    "change",
    [
        {"layout": 0},
        {"times": {"batched": []}},
        {"times": {"batched": [{"qubits": 2, "one_row_s": -1.0, "many_rows_s": 1.0}]}},
        {"times": {"batched": [{"qubits": q, "one_row_s": 1.0, "many_rows_s": 1.0} for q in (4, 2)]}},
        {"memory_bytes": 0},
        {"colour": "red"},
    ],
)
def test_what_is_no_calibration_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidCalibration, match="no calibration of layout 1"):
        Calibration.from_json({**calibration().to_json(), **change})


@pytest.mark.parametrize("document", [None, [], "text", {}])
def test_what_is_no_document_is_refused(document: Any) -> None:
    with pytest.raises(InvalidCalibration):
        Calibration.from_json(document)
