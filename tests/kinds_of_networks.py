"""The networks of the table that differ in kind, where the larger of a kind would tell no more."""

from tl_keras.backbone_table import BACKBONES

_LARGER = ("B1", "B2", "B3")
NETWORKS = tuple(name for name in BACKBONES if not name.endswith(_LARGER))
