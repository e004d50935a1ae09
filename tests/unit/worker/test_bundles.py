"""How pending evaluations become doorbells."""

import uuid

import pytest

from models.queue import Pending
from worker.bundles import even_size, form_bundles

TEAM = uuid.UUID(int=1)


def pending(*kinds: str, size: int = 4) -> list[Pending]:
    """Returns evaluations numbered from 0, of kinds named by a letter; a capital travels alone."""
    return [
        Pending(uuid.UUID(int=i), (TEAM, 0, kind.lower(), 2), 1 if kind.isupper() else size)
        for i, kind in enumerate(kinds)
    ]


def formed(kinds: str, *, room: int = 99, n_slots: int = 1, n_pending: int | None = None, size: int = 4) -> list[str]:
    """Returns the bundles as texts of the members' numbers."""
    found = form_bundles(pending(*kinds, size=size), room=room, n_pending=n_pending or len(kinds), n_slots=n_slots)
    return ["".join(f"{one.int:x}" for one in bundle) for bundle in found]


def test_those_of_a_kind_travel_together_and_others_do_not() -> None:
    assert formed("abab") == ["02", "13"]


def test_a_full_bundle_is_followed_by_another() -> None:
    assert formed("aaaaaaaa") == ["0123", "4567"]


def test_what_has_harmed_a_process_travels_alone() -> None:
    assert formed("aAaa") == ["023", "1"]


def test_without_bundles_each_has_a_doorbell() -> None:
    assert formed("aab", size=1) == ["0", "1", "2"]


def test_no_more_doorbells_than_there_is_room_for() -> None:
    assert formed("abcabc", room=2) == ["03", "14"]
    assert formed("ABCD", room=2) == ["0", "1"]


def test_no_slot_idles_so_that_another_gets_a_larger_bundle() -> None:
    assert formed("aaaa", n_slots=4) == ["0", "1", "2", "3"]
    assert formed("aaaa", n_slots=2) == ["01", "23"]


def test_what_waits_beyond_those_looked_at_counts_too() -> None:
    assert formed("aaaa", n_slots=4, n_pending=100) == ["0123"]


@pytest.mark.parametrize(
    ("most", "n_pending", "n_slots", "expected"),
    [
        (16, 40, 2, 10),  # and not 16, 16 and 8
        (16, 32, 2, 16),
        (16, 33, 2, 9),
        (16, 1_000_000, 2, 16),
        (16, 3, 8, 1),
        (1, 40, 2, 1),
        (16, 0, 2, 1),
    ],
)
def test_bundles_are_as_even_as_the_slots(most: int, n_pending: int, n_slots: int, expected: int) -> None:
    assert even_size(most, n_pending=n_pending, n_slots=n_slots) == expected


def test_even_bundles_are_never_larger_than_pays() -> None:
    for most in (1, 2, 4, 16, 64):
        for n_pending in range(200):
            for n_slots in (1, 2, 3, 7, 50):
                assert 1 <= even_size(most, n_pending=n_pending, n_slots=n_slots) <= most
