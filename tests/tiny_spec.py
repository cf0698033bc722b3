"""The row of a fabricated backbone whose layers are named after their blocks."""

from tl_keras.backbone_table import BackboneSpec

BLOCKS = ("stem", "block1", "top")


def tiny_spec(
    side: int,
    blocks: tuple[str, ...] = BLOCKS,
    name: str = "Tiny",
    alphas: tuple[float, ...] = (),
) -> BackboneSpec:
    """A row for images of at least `side` pixels, which it takes scaled to -1..1."""
    return BackboneSpec(
        name=name,
        scaling="tf",
        minimum_image_size=side,
        imagenet_size=side,
        gflops=1e-3,
        blocks=blocks,
        block_rules=((r"(stem|block\d|top)_", r"\1"),),
        alphas=alphas,
    )
