"""The live workers of a device class, as the choice of engines and of bundles sees them."""

from models import UnitOfWork
from nas.calibration import CalibratedWorker, Calibration, InvalidCalibration


def calibrated_workers(work: UnitOfWork, device: str, *, timeout_s: float) -> list[CalibratedWorker]:
    """Returns the live workers of a device class whose calibration this version can read."""
    found = []
    for row in work.workers.live(timeout_s=timeout_s):
        if row.device != device or row.calibration is None:
            continue
        try:
            found.append(CalibratedWorker(row.n_slots, Calibration.from_json(row.calibration)))
        except InvalidCalibration:
            continue  # of another version of hqnas, which runs beside this one for a while
    return found
