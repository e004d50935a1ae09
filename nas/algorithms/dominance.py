"""Which candidate is better than which, where objectives are measured with an error.

Each measured objective f (minimised) of a candidate is a bar from f − s to f + s, with s its standard error; s is 0
where the objective is exact. Candidate a *dominates* b where

    in every objective, the lower end, the value and the upper end of a's bar are at most those of b's, and
    in at least one, the whole of a's bar lies below the whole of b's: f(a) + s(a) < f(b) − s(b).

So what is closer than its errors never dominates, as the sum of two errors is at least √(s(a)² + s(b)²), the standard
error of the difference; equal errors keep values apart up to 1.41 of it. Where everything is exact this is Pareto
dominance, and two equal points stand together.

It is a strict partial order. No bar lies below itself, so nothing dominates itself. If a dominates b and b dominates
c, then every end of a's bars is at most c's; and where a's bar lies below b's, f(a) + s(a) < f(b) − s(b) ≤ f(c) − s(c).
Hence no circles; whatever is dominated is dominated by something that nothing dominates; and the non-dominated part of
(a non-dominated part and news) is that of everything, in whichever order the news came. And since domination here
implies Pareto dominance of the values, the front contains the front of the values: their hypervolume is the same.

The other reading of "equal within the noise", which forgives whatever an objective is behind by less than its error,
has none of this, for such indifference is not transitive [Luce56]. Of 2, 4 and 12 gates with accuracies 0.92, 0.96 and
1.00, all ± 0.03, each candidate would leave for the one before it, and the front would lose the last, though the first,
which alone is left, is less accurate by far more than the noise. With three objectives there are circles besides.

Sources:
    [Luce56] Luce 1956, Econometrica 24, 178: semiorders, in which indifference is not transitive.
    [Fishburn70] Fishburn 1970, J. Math. Psychol. 7, 144: interval orders, of which the second condition is one.
    [Teich01] Teich 2001, EMO, LNCS 1993, 314: dominance of objectives that are intervals. Departure: there, all bars
        have to lie apart for a certain domination, and otherwise it has a probability, which is not transitive.
    [Hughes01] Hughes 2001, EMO, LNCS 1993, 329, and [FE05] Fieldsend, Everson 2005, CEC, 243: ranks by probability.
    [Limbourg05] Limbourg, Salazar Aponte 2005, CEC, 459: fronts of imprecise objectives that keep what may be best.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

_LOWER, _VALUE, _UPPER = range(3)

#: Comparisons made at once: a matrix of 16 MiB.
_MAX_PAIRS = 2**24


def bars(losses: ArrayLike, std_errors: ArrayLike) -> Floats:
    """Returns lower end, value and upper end of each objective, (3, candidates, objectives).

    Args:
        losses: the objectives of each candidate, minimised, (candidates, objectives).
        std_errors: theirs, 0 where exact.
    """
    values, errors = np.asarray(losses, dtype=float), np.asarray(std_errors, dtype=float)
    return np.stack([values - errors, values, values + errors])


def dominates(ones: Floats, others: Floats) -> Booleans:
    """Returns whether each of `ones` dominates each of `others`, (ones, others), both as `bars` gives them."""
    shape, n_objectives = (ones.shape[1], others.shape[1]), ones.shape[2]
    is_nowhere_behind, is_somewhere_apart = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    for i in range(n_objectives):
        for end in (_LOWER, _VALUE, _UPPER):
            is_nowhere_behind &= ones[end, :, None, i] <= others[end, None, :, i]
        is_somewhere_apart |= ones[_UPPER, :, None, i] < others[_LOWER, None, :, i]
    return is_nowhere_behind & is_somewhere_apart


def is_dominated(all_bars: Floats) -> Booleans:
    """Returns which candidates another one dominates, (candidates,)."""
    n = all_bars.shape[1]
    step = max(1, _MAX_PAIRS // max(1, n))
    parts = [dominates(all_bars, all_bars[:, start : start + step]).any(0) for start in range(0, n, step)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def ranks(all_bars: Floats) -> NDArray[np.int64]:
    """Returns the rank of each candidate, (candidates,): 0 where nothing dominates it, 1 where only those do.

    In general it is one more than the highest rank of what dominates the candidate.
    """
    domination = dominates(all_bars, all_bars)
    n_dominating = domination.sum(0)
    found = np.full(len(n_dominating), -1, dtype=np.int64)
    rank = 0
    while (found < 0).any():
        layer = (n_dominating == 0) & (found < 0)
        found[layer] = rank
        n_dominating -= domination[layer].sum(0)
        rank += 1
    return found
