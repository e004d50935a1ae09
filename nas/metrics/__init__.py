"""What is measured, one file a metric; `nas.spec.metrics` has their names, units and versions.

    costs                    exact, from the description alone; plain Python
    expressibility           fidelities of random pairs of states against Haar
    frame_potential          moments of the same fidelities, as a ratio to Haar
    entangling_capability    mean Meyer-Wallach Q of random states
    gradient_variance        variance of gradients over random weights, and the share of dead parameters
    quantum_fisher_rank      in how many directions weights move the state
    routing                  routed_two_qubit_gates and routed_depth, on a coupling map
    expected_success         that no gate and no readout fails; exact, plain Python
    shots_for_gradient       a bound, from the description alone; plain Python
    static                   exact metrics by name, for the controller
    bare                     a `Subject` that is a circuit and nothing more
    performance              accuracy and loss of fitted models on the validation split
    registry                 all of them under their names, over one `Subject`

Nothing is imported here: the controller takes `static` without loading torch.
"""
