"""What runs on a computer without TensorFlow and without this package: plain Python and NumPy.

The modules of this folder are copied into an export as they are. They import one another by
relative names, and nothing else of the package.
"""
