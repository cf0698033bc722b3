"""A photo under a map of what a classifier looks at."""

import numpy as np

COLOURS = "inferno"
# of red, green and blue, ITU-R BT.601
LUMA = np.array((0.299, 0.587, 0.114))


def overlay(image: np.ndarray, heat: np.ndarray, strength: float = 0.6) -> np.ndarray:
    """A photo in shades of gray with a map on it as heat, so that every colour is heat.

    Args:
        image: (height, width, 3), RGB 0..255.
        heat: (height, width), 0..1; the photo shows as it is where it is 0.
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
    colours = 255 * colormaps[COLOURS](heat)[..., :3]
    # the root, as a faint heat would else not be seen: its colour is dark, too
    opacity = strength * np.sqrt(heat)[..., np.newaxis]
    blended = (1 - opacity) * (image @ LUMA)[..., np.newaxis] + opacity * colours
    return np.rint(blended).astype(np.uint8)
