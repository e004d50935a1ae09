"""What can go wrong between a person and the API.

HqnasError                  every error of this package; its text is one sentence for a person
├── UnreadableSpec          the file is missing, is no YAML or JSON, or holds two things
├── RefusedSpec             the spec is well formed and wrong; `problems` says where
├── RefusedRequest          another request has a wrong value; the text says where
├── NotFound                no such search or candidate, or it belongs to another team
├── Conflict                what was asked contradicts what is there: an idempotency key of another spec
├── NotAllowed              the API wants a key, or the key lacks the scope
├── Unavailable             no answer within the client's patience; trying again later may help
├── TimedOut                the search did not end within the time that `wait` was given
└── UnexpectedAnswer        the API broke, or is not hqnas; trying again does not help
"""

from dataclasses import dataclass


class HqnasError(Exception):
    """The root of all errors of the client and the command line; the text is one sentence for a person."""

    exit_code = 1  #: of the command line


class UnreadableSpec(HqnasError):
    """A spec could not be read or decoded."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class SpecProblem:
    """One refused value: where it stands, and what to do."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class RefusedSpec(HqnasError):
    """A spec was refused; `problems` names each place that has to change."""

    exit_code = 2

    def __init__(self, problems: tuple[SpecProblem, ...]) -> None:
        self.problems = problems
        super().__init__("the spec was refused: " + "; ".join(str(problem) for problem in problems))


class RefusedRequest(HqnasError):
    """A request that is no spec was refused; the text names each value that has to change."""

    exit_code = 2


class NotFound(HqnasError):
    """There is no such search or candidate."""


class Conflict(HqnasError):
    """The state of the thing forbids what was asked."""


class NotAllowed(HqnasError):
    """The API refused this key, or wants one."""


class Unavailable(HqnasError):
    """The API gave no answer within the client's patience."""


class TimedOut(HqnasError):
    """A search did not end in the time given."""


class UnexpectedAnswer(HqnasError):
    """The answer is not one that hqnas gives."""
