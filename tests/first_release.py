"""What the first release says to the database, frozen: the statements that its processes send, column by column.

They were recorded from the code of schema 26bf3c90deb4, which knew no engines, bundles, contenders, weights, stages
or confirmations. An upgrade lets such processes run beside the newest schema for a while. Never bring them up to date.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from models.tables import DEFAULT_TEAM_ID

REGISTER = """
INSERT INTO workers (name, device, n_slots, hardware, versions, started_at, beat_at, stopped_at)
VALUES (:name, 'cpu', :n_slots, '{}', '{}', now(), now(), NULL)
ON CONFLICT (name) DO UPDATE SET device = 'cpu', n_slots = :n_slots, hardware = '{}', versions = '{}',
  started_at = now(), beat_at = now(), stopped_at = NULL
"""
BEAT = "UPDATE workers SET beat_at = now(), stopped_at = NULL WHERE workers.name = :name"
STOP = "UPDATE workers SET stopped_at = now() WHERE workers.name = :name"
CLAIM = """
UPDATE evaluations SET state = 'running', attempt = (evaluations.attempt + 1), worker = :name,
  lease_expires_at = (now() + make_interval(0, 0, 0, 0, 0, 0, :lease_s)), started_at = now()
WHERE evaluations.id = :id AND evaluations.state IN ('pending', 'dispatched')
RETURNING evaluations.attempt, evaluations.genome, evaluations.protocol
"""
RENEW = """
UPDATE evaluations SET lease_expires_at = (now() + make_interval(0, 0, 0, 0, 0, 0, :lease_s))
WHERE evaluations.id = :id AND evaluations.attempt = :attempt AND evaluations.state = 'running'
RETURNING evaluations.id
"""
SUCCEED = """
UPDATE evaluations SET state = 'succeeded', lease_expires_at = NULL, finished_at = now(), result = :result
WHERE evaluations.id = :id AND evaluations.attempt = :attempt AND evaluations.state = 'running'
RETURNING evaluations.id
"""
FAIL = """
UPDATE evaluations SET state = 'failed', lease_expires_at = NULL, finished_at = now(), error = :error
WHERE evaluations.id = :id AND evaluations.attempt = :attempt AND evaluations.state = 'running'
RETURNING evaluations.id
"""
RELEASE = """
UPDATE evaluations SET state = 'pending', lease_expires_at = NULL, dispatched_at = NULL
WHERE evaluations.worker = :name AND evaluations.state = 'running' RETURNING evaluations.id
"""
_BLAME = """
UPDATE evaluations SET state = CASE WHEN (evaluations.{counter} + 1 >= :limit) THEN 'failed' ELSE 'pending' END,
  {counter} = (evaluations.{counter} + 1), lease_expires_at = NULL, dispatched_at = NULL,
  finished_at = CASE WHEN (evaluations.{counter} + 1 >= :limit) THEN now() END,
  error = CASE WHEN (evaluations.{counter} + 1 >= :limit) THEN jsonb_build_object('class', '{kind}') END
WHERE {which} AND evaluations.state = 'running' RETURNING evaluations.id
"""
RECORD_CRASH = _BLAME.format(
    counter="crash_count", kind="crashed", which="evaluations.id = :id AND evaluations.worker = :name"
)
SWEEP_LOST = _BLAME.format(counter="lost_count", kind="lost", which="evaluations.lease_expires_at < now()")
SWEEP_UNCLAIMED = """
UPDATE evaluations SET state = 'pending', dispatched_at = NULL
WHERE evaluations.state = 'dispatched' AND evaluations.device = 'cpu'
  AND evaluations.dispatched_at < now() + make_interval(0, 0, 0, 0, 0, 0, :minus_s) RETURNING evaluations.id
"""
DISPATCH = """
UPDATE evaluations SET state = 'dispatched', dispatched_at = now()
WHERE evaluations.id = :id AND evaluations.state = 'pending' RETURNING evaluations.id
"""
SUBMIT = """
INSERT INTO searches (id, team_id, name, spec, state, idempotency_key, revision, n_candidates, n_settled, n_failed,
  n_cached, n_front)
VALUES (:id, :team_id, 'first', '{}', 'queued', NULL, 1, 0, 0, 0, 0, 0)
ON CONFLICT (team_id, idempotency_key) DO NOTHING RETURNING searches.id
"""
WANT = """
INSERT INTO evaluations (id, team_id, genome, genome_digest, protocol, protocol_digest, device, priority, state,
  attempt, crash_count, lost_count)
VALUES (:id, :team_id, '{}', :digest, '{}', 'p', 'cpu', 0, 'pending', 0, 0, 0)
ON CONFLICT (team_id, genome_digest, protocol_digest)
DO UPDATE SET priority = greatest(evaluations.priority, 0) RETURNING evaluations.id
"""
PROPOSE = """
INSERT INTO candidates (id, search_id, evaluation_id, generation, index, genome, digest, state, is_cached, is_survivor,
  on_front)
VALUES (:id, :search_id, :evaluation_id, 0, :index, '{}', :digest, 'waiting', false, false, false)
"""
TELL = """
UPDATE candidates SET state = :state, objectives = :objectives, violation = :violation, metrics = NULL, error = NULL,
  settled_at = now() WHERE candidates.id = :id AND candidates.state = 'waiting' RETURNING candidates.id
"""
MOVE_FRONT = "UPDATE candidates SET on_front = true, is_survivor = true WHERE candidates.id = :id RETURNING id"
COMPLETE = "INSERT INTO generations (search_id, number, n_evaluations, hypervolume) VALUES (:id, 0, 2, 1.5)"
END = "UPDATE searches SET state = :state, reason = 'done', finished_at = now() WHERE searches.id = :id RETURNING id"
CANCEL_WAITING = """
UPDATE candidates SET state = 'cancelled'
WHERE candidates.search_id = :id AND candidates.state = 'waiting' RETURNING candidates.id
"""


@dataclass(frozen=True, slots=True)
class Claim:
    evaluation_id: uuid.UUID
    attempt: int


class FirstRelease:
    """A worker, and what a controller and an API write, of the first release."""

    def __init__(self, engine: Engine, *, worker: str = "old@host") -> None:
        self._engine = engine
        self.worker = worker

    def say(self, statement: str, **values: Any) -> int:
        """Sends a statement and returns how many rows it returned."""
        return len(self._ask(statement, values))

    def claim(self, evaluation_id: uuid.UUID, *, lease_s: float = 60) -> Claim | None:
        found = self._ask(CLAIM, {"id": evaluation_id, "name": self.worker, "lease_s": lease_s})
        return Claim(evaluation_id, found[0].attempt) if found else None

    def renew(self, claim: Claim, *, lease_s: float = 60) -> bool:
        return self._fenced(RENEW, claim, lease_s=lease_s)

    def succeed(self, claim: Claim, result: dict[str, Any]) -> bool:
        return self._fenced(SUCCEED, claim, result=json.dumps(result))

    def fail(self, claim: Claim) -> bool:
        return self._fenced(FAIL, claim, error=json.dumps({"class": "Broken", "message": "it broke"}))

    def submit_and_propose(self, *digests: str) -> tuple[uuid.UUID, dict[uuid.UUID, uuid.UUID]]:
        """Writes a search with a candidate for each digest; returns its id, and evaluations by candidate."""
        search_id, found = uuid.uuid4(), {}
        self.say(SUBMIT, id=search_id, team_id=DEFAULT_TEAM_ID)
        for index, digest in enumerate(digests):
            candidate_id = uuid.uuid4()
            (row,) = self._ask(WANT, {"id": uuid.uuid4(), "team_id": DEFAULT_TEAM_ID, "digest": digest})
            found[candidate_id] = row.id
            self.say(PROPOSE, id=candidate_id, search_id=search_id, evaluation_id=row.id, index=index, digest=digest)
        return search_id, found

    def _fenced(self, statement: str, claim: Claim, **values: Any) -> bool:
        return self.say(statement, id=claim.evaluation_id, attempt=claim.attempt, **values) == 1

    def _ask(self, statement: str, values: Mapping[str, Any]) -> list[Any]:
        with self._engine.begin() as connection:
            found = connection.execute(text(statement), dict(values))
            return list(found) if found.returns_rows else []
