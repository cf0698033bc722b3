"""A photo under a map of what a classifier looks at."""

import numpy as np

# Of what speaks for a class, from its beginning; of what speaks against it, from its middle back.
FOR, AGAINST = "inferno", "berlin"
# of red, green and blue, ITU-R BT.601
LUMA = np.array((0.299, 0.587, 0.114))


def relative(evidence: np.ndarray) -> np.ndarray:
    """Evidence (height, width) against its strongest pixel, -1..1; all 0 where there is none."""
    strongest = np.abs(evidence).max()
    return np.asarray(evidence / strongest if strongest > 0 else np.zeros_like(evidence))


def overlay(image: np.ndarray, heat: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """A photo in shades of gray with a map on it as heat, so that every colour is heat.

    Args:
        image: (height, width, 3), RGB 0..255.
        heat: (height, width), -1..1; the photo shows as it is where it is 0, and what speaks
            against a class is blue.
        strength: opacity of the hottest pixel, 0..1.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        ValueError: the map is not of the photo's size.
    """
    from matplotlib import colormaps

    if image.shape[:2] != heat.shape:
        raise ValueError(
            f"heat must have the height and width of the image, {image.shape[:2]}; got "
            f"{heat.shape}. Resize one of them."
        )
    size = np.abs(heat)
    warm, cold = colormaps[FOR](size), colormaps[AGAINST](0.5 - size / 2)
    colours = 255 * np.where(heat[..., np.newaxis] < 0, cold, warm)[..., :3]
    # the root, as a faint heat would else not be seen: its colour is dark, too
    opacity = strength * np.sqrt(size)[..., np.newaxis]
    blended = (1 - opacity) * (image @ LUMA)[..., np.newaxis] + opacity * colours
    return np.rint(blended).astype(np.uint8)
