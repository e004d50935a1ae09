"""Confirms what a search found: candidates trained anew with several seeds, beside controls, on the test split.

    candidate ──▶ arms: itself, frozen circuit, no entanglement, classical net of equal size
    arms × seeds ──▶ trials, fitted on train and validation ──▶ scores on the held-out test split
    scores of all members ──▶ means with intervals, paired tests, one sentence a member

Nothing that a search imports may import this package: `held_out` is the only door to the test split, and the layers of
`pyproject.toml` keep it shut. `arms`, `statistics` and `report` need no simulator, so that a controller may use them.
"""
