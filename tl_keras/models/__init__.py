"""The network: backbones with their blocks and source weights, heads, the whole classifier."""
