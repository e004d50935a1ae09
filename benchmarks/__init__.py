"""Times the engines and their peers side by side in one run: `make bench-engine`.

    contenders ──tasks──▶ bench (agreement, then turns A B A B …) ──rows──▶ results ──▶ report, plot

A section (`training`, `metrics`, `candidate`, `growth`, `bundles`, `memory`, `gpu`) says which work is done at which
sizes; a contender says how one simulator does it. Nothing is timed whose results disagree.
"""
