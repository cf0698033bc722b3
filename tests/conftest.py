"""Set what TensorFlow and matplotlib read from the environment, before any test imports them."""

import os

# Without a GPU every machine computes the same.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "agg"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
