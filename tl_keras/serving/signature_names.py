"""The names by which an exported classifier is asked, and answers."""

BYTES = "serving_default"
IMAGES = "serving_images"
IMAGES_UINT8 = "serving_images_uint8"
CLASSIFY = "classify"

# The feature of a tf.train.Example, and the input of `serving_default`.
IMAGE_BYTES = "image_bytes"

# Outputs that every format has; the two last where it decides, and `familiar` where it can tell.
PROBABILITIES, FAMILIAR = "probabilities", "familiar"
CONFIDENCE, DECISION = "confidence", "decision"
