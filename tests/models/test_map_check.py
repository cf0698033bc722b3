"""Rank correlations of maps; `test_grad_cam` has the check on classifiers."""

import numpy as np

from tl_keras.models.map_check import rank_correlations


def test_rank_correlations_by_hand() -> None:
    # ranks 1 2 3 4 with 1 2 4 3: 1 - 6 * 2 / (4 * 15); reversed; flat
    first = np.array([[[0, 1], [2, 3]]] * 3)
    second = np.array([[[0, 10], [1000, 100]], [[4, 3], [2, 1]], [[7, 7], [7, 7]]])
    np.testing.assert_allclose(rank_correlations(first, second), [0.8, -1, 0])
