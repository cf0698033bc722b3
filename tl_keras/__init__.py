"""Transfer learning on small image sets: how much to borrow from a pretrained network.

Importing this package does not import TensorFlow.
"""

__version__ = "0.1.0"
