"""What the card of a source model holds, but for what follows from its weights."""

from collections.abc import Mapping
from typing import Any

CARD: Mapping[str, Any] = {
    "name": "tiny_source",
    "backbone": "MobileNet",
    "alpha": None,
    "images": 1200,
    "classes": 12,
    "image_size": 32,
    "channels": 3,
    "scaling": "tf",
    "licence": "Apache-2.0",
    "generated": True,
    "description": "Made for a test.",
}
