"""The oracles that a search may ask for its next trial: names here, and in KerasTuner.

To add one: a row here. One that needs more than `max_trials` is made in
`tl_keras.transfer.oracles`, as Hyperband is.
"""

# The class in `keras_tuner.oracles`.
ORACLES = {
    "random": "RandomSearchOracle",
    "bayesian": "BayesianOptimizationOracle",
    "hyperband": "HyperbandOracle",
    "grid": "GridSearchOracle",
}

# Those whose trials do not depend on the scores of earlier ones: any order of training will do.
FORESEEABLE = ("random", "grid")
