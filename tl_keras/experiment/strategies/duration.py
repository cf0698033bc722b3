"""About how long it takes to train, before anything is trained."""

from tl_keras.backbone_table import BACKBONES, FILE, BackboneSpec
from tl_keras.config.schema import ExperimentConfig
from tl_keras.models.hub.hub_presets import as_file
from tl_keras.models.sources.source_places import network_path
from tl_keras.transfer.probing import FOLDS, MOST_IMAGES

# Measured with MobileNetV2 (0.3 G multiply-adds at 224 px) at 96 px on one thread, while training:
# 800 images a second forwards, three times that work for a training step (results/stages.csv).
_GFLOPS_PER_SECOND = 800 * 0.3 * (96 / 224) ** 2
TRACE_SECONDS = 3.0
HEAD_SECONDS = 1.5
# Seconds of a linear probe of one block, on one fold with 100 images.
_FOLD_SECONDS = 0.001
# Early stopping ends most trainings before the last epoch allowed.
_SHARE_OF_EPOCHS = 0.4


def forward_seconds(config: ExperimentConfig) -> float:
    """Of one image through the whole network."""
    backbone = config.backbone
    # the width of a network is in its large convolutions twice, in the others once
    scale = (backbone.side / 224) ** 2 * (backbone.alpha or 1.0) ** 1.5
    return _row(config).gflops * scale / _GFLOPS_PER_SECOND


def probing_seconds(config: ExperimentConfig, images: int, divisions: int) -> float:
    """Of linear probes of all blocks, in every fold of some divisions of the images."""
    blocks, few = len(_row(config).blocks), min(images, MOST_IMAGES)
    return blocks * FOLDS * divisions * _FOLD_SECONDS * (few / 100) ** 1.5


def pooling_seconds(config: ExperimentConfig, images: int) -> float:
    """Of choosing what a head reads, where the experiment leaves that open."""
    if config.head.pooling != "search":
        return 0.0
    return forward_seconds(config) * images + probing_seconds(config, images, divisions=1)


def training_seconds(
    config: ExperimentConfig, depth: int | str, epochs: int, train: int, validation: int
) -> float:
    """Phase 1 and, if anything is unfrozen, phase 2, whose cost is that of the unfrozen share.

    Args:
        config: of the experiment.
        depth: how many blocks train, "all" or a range of them.
        epochs: at most.
        train: training images.
        validation: validation images.
    """
    forward, share = forward_seconds(config), unfrozen_share(config, depth)
    through_frozen = 1 - share if config.training.augmentation != "none" else 0.0
    per_epoch = forward * (train * (3 * share + through_frozen) + validation * share)
    frozen_pass = forward * (train + validation)
    return HEAD_SECONDS + frozen_pass + _SHARE_OF_EPOCHS * epochs * per_epoch


def unfrozen_share(config: ExperimentConfig, depth: int | str) -> float:
    """Of the network that a training step passes: from the lowest unfrozen block upwards."""
    blocks = _row(config).blocks
    if isinstance(depth, int) or depth == "all":
        return (len(blocks) if depth == "all" else int(depth)) / len(blocks)
    return 1 - blocks.index(depth.partition(":")[0]) / len(blocks)


def _row(config: ExperimentConfig) -> BackboneSpec:
    """Of the table; or what is known of a network from a file or preset, which has been read."""
    backbone = as_file(config.backbone, config.results_dir)
    if backbone.name != FILE:
        return BACKBONES[backbone.network]
    # Keras is loaded where there is such a network
    from tl_keras.models.own_network.network_file import network_spec

    path = network_path(backbone.weights)
    return network_spec(path, scaling=backbone.known_scaling, trust_code=backbone.trust_code)
