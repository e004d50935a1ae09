"""Simulation in one thread: the real controllers, dispatcher, sweep and workers, over a real PostgreSQL.

    schedule   a seed → who runs next, what breaks, how late it is; then all heals, and runs to the end
    actors     processes as coroutines: each runs until a place at which it may be interrupted
    database   every statement and commit is such a place; `now()` is a clock that the schedule moves
    bus        stands for the broker: loses, doubles and reorders doorbells, or is away
    fleet      workers and controllers made of production code, with made-up results
    verdict    the invariants, and the outcome of the same searches undisturbed

The same seed gives the same schedule, to the last line of its trace: chance, ids and time come from the seed alone.
Not simulated: what happens inside a statement of PostgreSQL, and waiting for locks; a lock that another holds is an
error at once, which every process must survive anyway.
"""
