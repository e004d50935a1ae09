"""A search whose candidates keep killing the processes that evaluate them is stopped.

A candidate has crashed when an evaluation that it waited for was given up because its process had died too often
(`crash_count` at its limit). An ordinary failure is none, nor is a worker that vanished. Of any WINDOW candidates that
were proposed one after the other at most SHARE may crash: that is said of the candidates alone, so no order in which
results land, and no step that is repeated, changes whether a search is stopped, only when.

A search of which every candidate crashes ends with the seventh, and each of these was tried as often as `crash_limit`
says. What is in flight meanwhile adds at most as many attempts for each of its evaluations. One with a smaller
generation ends with that: none of its candidates could be evaluated.
"""

import math
import uuid
from typing import Final

from models import UnitOfWork

WINDOW: Final = 20
SHARE: Final = 0.3

#: The most candidates of a window that may crash.
_MOST: Final = math.floor(WINDOW * SHARE)


def broken_circuit(work: UnitOfWork, search_id: uuid.UUID) -> str | None:
    """Returns why a search must not go on, or None as long as few enough of its candidates have crashed."""
    crashed = work.candidates.crashed(search_id)
    for first, last in zip(crashed, crashed[_MOST:], strict=False):
        if last.place - first.place < WINDOW:
            return (
                f"more than {SHARE:.0%} of {WINDOW} candidates in a row kept killing the processes that evaluated "
                f"them; the last, candidate {last.index} of generation {last.generation}, said: {last.message}"
            )
    return None
