"""Holds a database to what must hold, also while searches run: what `hqnas check` does.

    examination     one snapshot: all searches, their evaluations, what stands still
    search          one search's rows and counters                                    I1, I3, I5
      candidates    settled as their search is, on evaluations of their genome        I1, I3, I6
      outcomes      what rows were told, beside what was measured                     I3
      course        front and growth, retold from generation 0 on                     I3
        proposals   genomes proposed and survivors selected again                     I4
        verdicts    stages judged again                                               I4
        second_look rounds of re-evaluation, retold                                   I3, I4
      confirmations like searches                                                     I1, I3, I6
    evaluations     one outcome each, of the last attempt                             I1, I2
    standstill      leases, doorbells and searches that nobody sees to                I7
    remeasure       results measured again, on request: this loads the simulators     I4

Every step of a search is one transaction, so whatever a snapshot shows is complete; only what takes its time (a lease,
a doorbell, a turn of the controller) is allowed a grace.
"""

from worker.check.examination import GRACE_S, check, examine
from worker.check.findings import INVARIANTS, Report, Violation

__all__ = ["GRACE_S", "INVARIANTS", "Report", "Violation", "check", "examine"]
