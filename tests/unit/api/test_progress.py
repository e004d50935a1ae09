"""How far a search is, as the API tells it."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from api.views import search_summary
from models import Search
from nas.spec import parse_spec

SPEC = parse_spec(
    {
        "name": "grid",
        "dataset": {"name": "iris"},
        # Of the twelve points, four architectures: on two qubits, every wiring but `none` is `linear`.
        "space": {"qubits": 2, "layers": [1, 2], "topology": ["none", "linear", "ring", "star", "full", "pairwise"]},
        "objectives": [{"metric": "expressibility"}],
        "algorithm": {"name": "grid", "population": 4},
        "engine": "batched",
    }
)


def progress(**changes: Any) -> Any:
    facts = {"generation": 0, "n_candidates": 4, "n_settled": 4, "n_failed": 0, "n_stopped": 0, "n_cached": 0}
    search = Search(
        **{
            "id": uuid.uuid4(),
            "name": "grid",
            "spec": SPEC.model_dump(mode="json"),
            "state": "running",
            "revision": 1,
            "n_front": 1,
            "created_at": datetime(2026, 1, 2, tzinfo=UTC),
            **facts,
            **changes,
        }
    )
    return search_summary(search, rate=None, slots={"cpu": 1}).progress


def test_until_it_ends_a_search_plans_what_its_spec_allows() -> None:
    assert (progress().planned, progress().generations) == (12, 3)


@pytest.mark.parametrize("end", [{"state": "finished"}, {"reevaluation": {"reason": "done", "rounds": []}}])
def test_a_search_that_proposes_nothing_more_has_planned_what_it_proposed(end: dict[str, Any]) -> None:
    assert (progress(**end).planned, progress(**end).generations) == (4, 1)


def test_a_cancelled_search_shows_how_far_it_got() -> None:
    assert (progress(state="cancelled").planned, progress(state="cancelled").generations) == (12, 3)
