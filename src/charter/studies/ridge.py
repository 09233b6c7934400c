"""Ridge regression on few features, many times over: what the studies' small judges are.

Knows no study. Shape suffixes: N rows, F features as read, D features kept.
"""

from __future__ import annotations

import numpy as np


def compress(features_NF: np.ndarray, most: int) -> np.ndarray:
    """Principal components [N, D] of features, at most so many, each with standard deviation 1.

    Directions without variance are left out; there is always one column.
    """
    centred_NF = np.asarray(features_NF, float) - np.mean(features_NF, axis=0)
    left_NK, size_K, _ = np.linalg.svd(centred_NF, full_matrices=False)
    kept = int(min(most, (size_K > 1e-9 * max(size_K.max(initial=0.0), 1e-30)).sum()))
    return np.asarray(left_NK[:, : max(kept, 1)] * np.sqrt(len(left_NK)))


def fit(
    features_ND: np.ndarray, targets_N: np.ndarray, weights_N: np.ndarray, penalty: float
) -> np.ndarray:
    """Coefficients [D] of weighted ridge regression without an intercept.

    Args:
        features_ND: rows.
        targets_N: what to predict, centred by the caller.
        weights_N: how much each row counts, not all 0.
        penalty: multiple of the total weight that is added to the diagonal.
    """
    weighted_DN = (features_ND * weights_N[:, None]).T
    within_DD = weighted_DN @ features_ND
    within_DD[np.diag_indices_from(within_DD)] += penalty * weights_N.sum()
    return np.asarray(np.linalg.solve(within_DD, weighted_DN @ targets_N))
