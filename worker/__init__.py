"""The hands: a controller that advances searches and dispatches work, and Celery workers that evaluate.

PostgreSQL is the truth; a Celery message is only a doorbell that names evaluations. It may be lost, late or doubled.

    controller   loop: advance a search, dispatch, sweep, wait for the bell
      advance      one short transaction: tell results, select, propose
      dispatch     pending evaluations → broker, after the commit, as many as the workers can hold
      sweep        leases that ran out, doorbells that were lost
    process      a worker: Celery's prefork pool, registered and beating
      task         the doorbell's handler
      attempt      claim, compute under a renewed lease, record once
"""
