"""Holds a database to what must hold, also while searches run: what `hqnas check` does.

    examination   one snapshot, all searches, what stands still     I7
    evaluations   outcomes and the attempts that they are of        I2
    search        one search's rows and counters                    I1, I5, I6
    outcomes      what rows were told, beside what was measured     I3
    confirmations likewise                                          I1, I3, I6

Every step of a search is one transaction, so whatever a snapshot shows is complete; only what takes its time (a lease,
a doorbell, a turn of the controller) is allowed a grace.
"""

from worker.check.examination import GRACE_S, check, examine
from worker.check.findings import INVARIANTS, Report, Violation

__all__ = ["GRACE_S", "INVARIANTS", "Report", "Violation", "check", "examine"]
