"""Which candidate is better than which, and what the front is, where objectives are measured with an error.

Each objective f (minimised) of a candidate is a bar from f − s to f + s, with s its standard error; s is 0 where the
objective is exact. Two values are equal within the noise where their bars meet: the sum of two errors is at least
√(s(a)² + s(b)²), the standard error of the difference, and for equal errors 1.41 of it.

    a dominates b    a is equal to b or ahead in every objective, and in at least one ahead by more than the noise:
                     no bar of a lies wholly above b's, and one lies wholly below
    the front        no member dominates another, and each candidate off it is dominated by a member

Where everything is exact, this is Pareto dominance and the Pareto front. With noise the front cannot be "what nothing
dominates", for to be equal within the noise is not transitive [Luce56]: of 2, 4 and 12 gates with accuracies 0.92, 0.96
and 1.00, all ± 0.03, each candidate is dominated by the one before it, and the front would be the first alone, which is
less accurate than the last by far more than the noise. The two properties above are those of a kernel, or solution
[NM44]: here the first and the last. A relation without circles has exactly one. With noise in several objectives there
may be circles, a rare thing; whose members nothing else dominates are on the front together.

So that the front need not be computed from all rows each time, it is computed from the *contenders*: what no candidate
surely dominates, where

    a surely dominates b    a dominates b, and in every objective neither end of a's bar, nor its value, is behind b's

which is a strict partial order. Nothing lies below itself; and if a is before b and b before c, then all ends of a's
bars are at most c's, and where a's bar lies wholly below b's, f(a) + s(a) < f(b) − s(b) ≤ f(c) − s(c). Hence the
contenders among (contenders and news) are those among all candidates, in whichever order the news came. Contenders are
all that the front needs: if k dominates u, and u surely dominates x, then f(k) − s(k) ≤ f(u) + s(u) ≤ f(x) + s(x) in
every objective, and f(k) + s(k) < f(u) − s(u) ≤ f(x) − s(x) in one, so k dominates x; what a contender keeps off the
list of contenders, the front of the contenders therefore dominates. And the contenders contain the Pareto front of the
values, so the hypervolume of the values is theirs.

Sources:
    [NM44] von Neumann, Morgenstern 1944, Theory of Games and Economic Behavior, section 4.5: solutions.
    [Luce56] Luce 1956, Econometrica 24, 178: semiorders, in which indifference is not transitive.
    [Laumanns02] Laumanns, Thiele, Deb, Zitzler 2002, Evol. Comput. 10, 263: dominance up to a given ε, with archives
        whose members each stand for what they dominate. Departure: ε is that of the pair, from the stored errors.
    [Teich01] Teich 2001, EMO, LNCS 1993, 314: objectives that are intervals; certain and probable domination.
    [Hughes01] Hughes 2001, EMO, LNCS 1993, 329, and [FE05] Fieldsend, Everson 2005, CEC, 243: ranks by probability.
"""

from collections.abc import Iterator

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
    is_never_behind = _in_all(np.less_equal, ones[_LOWER], others[_UPPER])
    return is_never_behind & _in_any(np.less, ones[_UPPER], others[_LOWER])


def surely_dominates(ones: Floats, others: Floats) -> Booleans:
    """Returns whether each of `ones` dominates each of `others` and is nowhere nominally behind, (ones, others)."""
    found = _in_any(np.less, ones[_UPPER], others[_LOWER])
    for end in (_LOWER, _VALUE, _UPPER):
        found &= _in_all(np.less_equal, ones[end], others[end])
    return found


def is_contender(all_bars: Floats) -> Booleans:
    """Returns which candidates no other surely dominates, (candidates,)."""
    n = all_bars.shape[1]
    step = max(1, _MAX_PAIRS // max(1, n * all_bars.shape[2]))
    parts = [~surely_dominates(all_bars, all_bars[:, start : start + step]).any(0) for start in range(0, n, step)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def is_on_front(all_bars: Floats) -> Booleans:
    """Returns which candidates are on the front, (candidates,)."""
    found = is_contender(all_bars)
    contenders = all_bars[:, found]
    found[found] = _kernel(dominates(contenders, contenders))
    return found


def fronts(all_bars: Floats) -> Iterator[NDArray[np.intp]]:
    """Yields the indices on the front, then on the front of the others, and so on: non-dominated sorting."""
    left = np.arange(all_bars.shape[1])
    while left.size:
        is_best = is_on_front(all_bars[:, left])
        yield left[is_best]
        left = left[~is_best]


def _in_all(compare: np.ufunc, ones: Floats, others: Floats) -> Booleans:
    """Returns for which pairs a comparison holds in all objectives, (ones, others)."""
    found: Booleans = np.logical_and.reduce(compare(ones.T[:, :, None], others.T[:, None, :]))
    return found


def _in_any(compare: np.ufunc, ones: Floats, others: Floats) -> Booleans:
    """Returns for which pairs a comparison holds in at least one objective, (ones, others)."""
    found: Booleans = np.logical_or.reduce(compare(ones.T[:, :, None], others.T[:, None, :]))
    return found


def _kernel(domination: Booleans) -> Booleans:
    """Returns the kernel of a relation, given as a matrix: what nothing left dominates is in, what it dominates out."""
    kept = np.zeros(len(domination), dtype=bool)
    is_left = ~kept
    while is_left.any():
        left = np.flatnonzero(is_left)
        among = domination[np.ix_(left, left)]
        is_free = ~among.any(0)
        chosen = left[is_free if is_free.any() else _in_first_circles(among)]
        kept[chosen] = True
        is_left[chosen] = False
        is_left &= ~domination[chosen].any(0)
    return kept


def _in_first_circles(domination: Booleans) -> Booleans:
    """Returns what is in a circle that nothing outside it dominates: it reaches all that reach it."""
    reach = domination
    while True:
        further = reach | (reach.astype(np.float32) @ reach.astype(np.float32) > 0.0)
        if (further == reach).all():
            return np.array(~(reach & ~reach.T).any(0))
        reach = further
