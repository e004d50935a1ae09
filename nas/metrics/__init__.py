"""What is measured, one file a metric; `nas.spec.metrics` has their names, units and versions.

    costs                    exact, from the description alone; plain Python
    expressibility           fidelities of random pairs of states against Haar
    entangling_capability    mean Meyer-Wallach Q of random states
    gradient_variance        variance of gradients over random weights, and the share of dead parameters
    performance              accuracy and loss of fitted models on the validation split
    registry                 all of them under their names, over one `Subject`

Nothing is imported here: the controller takes `costs` without loading torch.
"""
