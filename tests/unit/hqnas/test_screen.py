import io
import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console, RenderableType

from hqnas.cli.architecture_tables import front_view, with_architectures
from hqnas.cli.screen import ago, duration, engines_text, follow, measured, progress_line
from hqnas.client import Candidate, Client, Objective


def test_progress_that_is_no_terminal_gets_a_line_a_generation_and_no_control_codes(
    client: Client, api: Any, clock: Any, documents: Any
) -> None:
    search = api.searches[documents.search_id]

    def step() -> None:
        search["revision"] += 1
        search["progress"] = search["progress"] | {"generation": len(clock.waits_s) // 5}
        search["state"] = "finished" if len(clock.waits_s) == 10 else "running"

    clock.during = step
    out = io.StringIO()

    follow(client, documents.search_id, Console(file=out, width=80))

    assert "\x1b" not in out.getvalue()
    # The state at the start, generations 1 and 2, the end, and the outcome.
    assert len(out.getvalue().splitlines()) <= 6


def test_progress_on_a_terminal_shows_rate_and_time_left(client: Client, api: Any, clock: Any, documents: Any) -> None:
    def end() -> None:
        api.searches[documents.search_id].update(revision=8, state="finished")

    clock.during = end
    out = io.StringIO()

    follow(client, documents.search_id, Console(file=out, width=100, force_terminal=True, color_system=None))

    assert "1.5 evaluations/s" in out.getvalue()
    assert "12 s left" in out.getvalue()


def test_front_table_has_no_column_twice(client: Client, documents: Any) -> None:
    front = client.front(documents.search_id)
    gates = Objective("two_qubit_gates", "minimize", "count")
    shown = printed(front_view(replace(front, objectives=(gates,)), width=160), width=160)
    assert shown.split()[:5] == ["two-qubit", "gates", "place", "↓", "architecture"]


def test_front_table_marks_the_direction_of_each_objective(client: Client, documents: Any) -> None:
    shown = printed(front_view(client.front(documents.search_id), width=160), width=160)

    assert re.search(r"accuracy ↑", shown)
    assert re.search(r"expressibility ↓", shown)


def test_architectures_stand_beside_the_numbers_where_the_terminal_is_wide_enough() -> None:
    view = with_architectures(("place", "score"), [["0.1", "1"], ["0.2", "2"]], ["2q 1l", "3q 2l"], width=80)
    assert printed(view, width=80).splitlines()[1:3] == ["0.1        1  2q 1l       ", "0.2        2  3q 2l       "]


def test_an_architecture_too_long_for_its_row_stands_under_the_table_in_one_line() -> None:
    long = "4q 3l · angle-y* · rx ry rz · cnot linear · zz-pairs"
    view = with_architectures(("place", "a heading\nof two lines"), [["0.1", "1"]], [long], width=len(long) + 7)
    lines = [line.rstrip() for line in printed(view, width=len(long) + 7).splitlines()]
    assert f"0.1    {long}" in lines
    assert lines[-1] == "q: qubits, l: layers; *: encodes before every layer"


def printed(view: RenderableType, *, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(view)
    return out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.4, "4 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (7_260, "2 h 01 min")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "just now"), (150, "2 min ago"), (90_000, "1 d ago")])
def test_ages_read_well(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_notice_of_a_search_that_cannot_move_is_shown(api: Any, client: Client, documents: Any) -> None:
    api.searches[documents.search_id]["notice"] = "no live worker takes cpu work"

    assert "no live worker takes cpu work" in progress_line(client.search(documents.search_id))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.94444, 0.0231, "0.944 ±0.023"), (-123.4, 25.0, "-123 ±25"), (1.0, 0.0, "1 ±0"), (12, "exact", "12")],
)
def test_value_is_shown_to_the_digits_of_its_error(documents: Any, value: float, error: float | str, text: str) -> None:
    document = documents.candidate(0, accuracy=value, expressibility=1.0)
    document["metrics"]["validation_accuracy"]["std_error"] = error

    assert measured(Candidate.from_json(document), Objective("validation_accuracy", "maximize", "share")) == text


@pytest.mark.parametrize(
    ("engines", "text"),
    [
        ({"2": "batched"}, "batched: 2 qubits"),
        ({str(q): "batched" for q in (2, 3, 4, 8, 10, 11)}, "batched: 2-4, 8, 10-11 qubits"),
        ({"9": "batched", "10": "lightning.qubit"}, "batched: 9; lightning.qubit: 10 qubits"),
    ],
)
def test_engines_are_shown_with_their_runs_of_qubits(engines: dict[str, str], text: str) -> None:
    assert engines_text(engines) == text


def test_the_engines_of_a_search_are_shown_while_it_runs(client: Client, api: Any, clock: Any, documents: Any) -> None:
    api.searches[documents.search_id]["engines"] = {"2": "batched", "3": "batched"}

    def end() -> None:
        api.searches[documents.search_id].update(revision=8, state="finished")

    clock.during = end
    out = io.StringIO()

    follow(client, documents.search_id, Console(file=out, width=100, force_terminal=True, color_system=None))

    assert "batched: 2-3 qubits" in out.getvalue()
