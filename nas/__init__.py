"""The search itself, with no I/O: what may be built, how it is measured, and what is tried next.

Rooms, each importing only those below it:

    evaluation              measures one genome under one protocol
    algorithms | training   proposes candidates | fits hybrid models
    metrics                 what is measured, one file a metric
    engines                 simulate circuits
    calibration             how fast the engines of a machine are, and what follows
    circuits                a genome as a list of operations, and its renderings
    space                   genes, genomes, and the space they are drawn from
    spec                    what a person submits, and every limit on it
    errors                  why an evaluation can fail

`spec`, `space`, `circuits` and `calibration` are plain Python: the API and the controller import them without torch or
PennyLane.
"""
