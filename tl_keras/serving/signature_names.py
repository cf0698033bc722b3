"""The names by which an exported classifier is asked."""

BYTES = "serving_default"
IMAGES = "serving_images"
IMAGES_UINT8 = "serving_images_uint8"
CLASSIFY = "classify"

# The feature of a tf.train.Example, and the input of `serving_default`.
IMAGE_BYTES = "image_bytes"
