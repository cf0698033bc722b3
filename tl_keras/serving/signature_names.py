"""The names by which an exported classifier is asked, and answers."""

BYTES = "serving_default"
IMAGES = "serving_images"
IMAGES_UINT8 = "serving_images_uint8"
CLASSIFY = "classify"
HEAT_MAPS = "heat_maps"

# The feature of a tf.train.Example, and the input of `serving_default`.
IMAGE_BYTES = "image_bytes"

# Whether a file could be read: an output of those that take files.
DECODED = "decoded"

# What `heat_maps` answers beyond the answers of `serving_default`.
EVIDENCE, PIXELS, PLACES = "evidence", "pixels", "places"

# Outputs that every format has; the two last where it decides, and `familiar` where it can tell.
PROBABILITIES, FAMILIAR = "probabilities", "familiar"
CONFIDENCE, DECISION = "confidence", "decision"
