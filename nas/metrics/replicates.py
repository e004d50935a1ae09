"""A metric measured several times, with independent draws.

The value is the mean of the R values. Its standard error is the larger of two estimates of the same quantity:

    between the replicates    sd/√R, which also sees what differs between replicates and is held fixed within one (the
                              batch of data and the classical layers that a gradient is taken at)
    within them               √(Σ s_r²)/R, from their own standard errors: few replicates may agree by chance, and an
                              error that is then too small would tell apart on the front what is not different
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from nas.metrics.measurement import Measurement


def mean_of_replicates(replicates: Sequence[Measurement]) -> Measurement:
    """Returns the mean of measurements of one metric; a single one is returned as it is.

    Exact where all are exact and equal. `per_replicate` has the values, and `replicates` each one's value, standard
    error and details.
    """
    first, n = replicates[0], len(replicates)
    if n == 1:
        return first
    values = np.array([one.value for one in replicates])
    within = float(np.linalg.norm([one.std_error or 0.0 for one in replicates])) / n
    between = float(values.std(ddof=1)) / n**0.5 if np.ptp(values) else 0.0
    std_error = max(within, between)
    is_exact = std_error == 0.0 and all(one.std_error is None for one in replicates)
    protocol = {**first.protocol, "replicates": n, "std_error_from": "replicates" if between > within else "draws"}
    details = {
        "per_replicate": values.tolist(),
        "replicates": [{"value": one.value, **_error(one), **one.details} for one in replicates],
    }
    return Measurement(first.metric, float(values.mean()), None if is_exact else std_error, protocol, details)


def _error(measurement: Measurement) -> dict[str, Any]:
    return {"std_error": "exact" if measurement.std_error is None else measurement.std_error}
