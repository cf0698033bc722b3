"""Networks of KerasHub, in layers of Keras."""
