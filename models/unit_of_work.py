"""One transaction: commit at the edge, roll back by default.

with unit_of_work() as work:
    work.evaluations.claim(…)
    work.commit()
"""

from types import TracebackType
from typing import Self

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from models.arrears import Arrears
from models.audit import Audit
from models.candidates import Candidates
from models.confirmations import Confirmations
from models.controllers import Controllers
from models.database import CHANNEL
from models.evaluations import Evaluations
from models.queue import Queue
from models.searches import Searches
from models.stages import Stages
from models.weights import Weights
from models.workers import Workers


class UnitOfWork:
    """A session with its repositories. Reusable one block after the other, not by two threads at once."""

    session: Session
    searches: Searches
    candidates: Candidates
    confirmations: Confirmations
    stages: Stages
    evaluations: Evaluations
    queue: Queue
    weights: Weights
    workers: Workers
    audit: Audit
    arrears: Arrears
    controllers: Controllers

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __enter__(self) -> Self:
        self.session = Session(self._engine, expire_on_commit=False)
        self.searches = Searches(self.session)
        self.candidates = Candidates(self.session)
        self.confirmations = Confirmations(self.session)
        self.stages = Stages(self.session)
        self.evaluations = Evaluations(self.session)
        self.queue = Queue(self.session)
        self.weights = Weights(self.session)
        self.workers = Workers(self.session)
        self.audit = Audit(self.session)
        self.arrears = Arrears(self.session)
        self.controllers = Controllers(self.session)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.session.close()

    def snapshot(self) -> None:
        """Makes all that the block reads be of one moment, and refuses its writes; to be called before it reads."""
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self.session.connection(execution_options=options)
        self.allow_idle(0)  # it holds no locks that others wait for

    def allow_idle(self, seconds: float) -> None:
        """Lets this transaction stand for so long while nothing is asked of the database; 0 is for ever."""
        self.session.execute(text(f"SET LOCAL idle_in_transaction_session_timeout = '{seconds:g}s'"))

    def commit(self) -> None:
        """Makes the block's changes durable and visible."""
        self.session.commit()

    def ring(self) -> None:
        """Wakes controllers when, and only if, this transaction commits."""
        self.session.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})

    def try_lock(self, name: str) -> bool:
        """Returns whether this transaction got the named lock; at most one holds it, until its end."""
        return bool(self.session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext(:name))"), {"name": name}))
