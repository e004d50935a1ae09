"""How pending evaluations are put together into doorbells."""

import math
import uuid
from collections.abc import Hashable, Sequence

from models.queue import Pending


def form_bundles(pending: Sequence[Pending], *, room: int, n_pending: int, n_slots: int) -> list[list[uuid.UUID]]:
    """Returns up to `room` bundles of the evaluations that are next, each of one kind, in the order of their turns.

    An evaluation joins the bundle of its kind that is open, or opens one while there is room.

    Args:
        pending: in the order of their turns.
        room: how many doorbells may be rung.
        n_pending: how many wait in all, those beyond `pending` included.
        n_slots: of live workers, busy ones too: they are free soon, and must find something.
    """
    bundles: list[list[uuid.UUID]] = []
    still_open: dict[Hashable, list[uuid.UUID]] = {}
    for one in pending:
        most = even_size(one.bundle_size, n_pending=n_pending, n_slots=n_slots)
        bundle = still_open.get(one.kind) if most > 1 else None
        if bundle is None:
            if len(bundles) == room:
                continue
            bundle = []
            bundles.append(bundle)
        bundle.append(one.evaluation_id)
        if len(bundle) < most:
            still_open[one.kind] = bundle
        elif most > 1:
            still_open.pop(one.kind, None)
    return bundles


def even_size(most: int, *, n_pending: int, n_slots: int) -> int:
    """Returns the largest size, up to `most`, at which all slots have equally many bundles of what waits.

    40 evaluations on 2 slots are 4 bundles of 10 and not 16, 16 and 8: the end of a generation waits for the last.
    """
    if most == 1 or n_pending == 0:
        return 1
    n_rounds = math.ceil(n_pending / (most * n_slots))
    return math.ceil(n_pending / (n_rounds * n_slots))
