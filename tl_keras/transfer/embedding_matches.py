"""Pictures of what may be the same thing, though not copies: alike to the network beyond others."""

import numpy as np
import pandas as pd

# The distance of a pair, as a share of what both have to their other near neighbours. With ImageNet
# weights at 160 px, two pairs of 900 steel surfaces and none of 400 photos, 300 cells and 600
# digits were as near without showing the same thing. Cropped by 10% or turned by 5 degrees, 95% of
# 40 photos were found; of 40 steel surfaces 40% and none.
CLOSER_THAN = 0.4
LEAST_SIMILARITY = 0.5
# Near neighbours that a pair is measured against.
NEIGHBOURS = 5
MOST_PAIRS = 200
COLUMNS = ["first", "second", "similarity", "closeness"]
_ROWS = 1024


def embedding_matches(
    features: np.ndarray, known: np.ndarray, most: int = MOST_PAIRS
) -> pd.DataFrame:
    """Pairs of images that are each other's nearest, and much nearer than what else is near.

    How alike two pictures of different things are depends on the set, so no fixed similarity
    tells; each image's own neighbours do.

    Args:
        features: float32 (n, d), pooled activations.
        known: (n,); images with the same number are copies or of one group, and are not compared.
        most: pairs.

    Returns:
        first, second (positions, first < second), similarity (cosine of the features less their
        mean), closeness (their distance 1 - similarity, as a share of the mean distance of the
        `NEIGHBOURS` next ones, the nearer of both images'); the closest first.
    """
    count = len(features)
    if count < NEIGHBOURS + 2:
        return pd.DataFrame(columns=COLUMNS)
    centred = features - features.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    nearest = np.empty(count, np.int64)
    similarity, usual = np.empty(count), np.empty(count)
    for start in range(0, count, _ROWS):
        rows = np.arange(start, min(start + _ROWS, count))
        alike = centred[rows] @ centred.T
        alike[known[rows][:, None] == known[None, :]] = -1
        nearest[rows] = alike.argmax(axis=1)
        best = -np.partition(-alike, NEIGHBOURS, axis=1)[:, : NEIGHBOURS + 1]
        similarity[rows] = best.max(axis=1)
        usual[rows] = (best.sum(axis=1) - best.max(axis=1)) / NEIGHBOURS
    first = np.arange(count)
    mutual = (nearest[nearest] == first) & (first < nearest)
    others = np.minimum(1 - usual, 1 - usual[nearest])
    closeness = (1 - similarity) / np.maximum(others, 1e-12)
    found = mutual & (closeness <= CLOSER_THAN) & (similarity >= LEAST_SIMILARITY)
    pairs = pd.DataFrame(
        {"first": first, "second": nearest, "similarity": similarity, "closeness": closeness}
    )[found]
    return pairs.sort_values(["closeness", "first"], ignore_index=True).head(most)
