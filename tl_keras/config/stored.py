"""What stored configurations mean where a key is younger than they are."""

from collections.abc import Mapping
from typing import Any, get_args

from tl_keras.config.schema import ExifRotation, ExperimentConfig

# What was done before there was the key, where its default does something else.
_BEFORE = {"data": {"exif_rotation": "ignore"}}


def completed(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A stored configuration, or sections of one, with what was done where it lacks such a key."""
    sections = {
        section: {**before, **stored[section]}
        for section, before in _BEFORE.items()
        if isinstance(stored.get(section), Mapping)
    }
    return {**stored, **sections}


def continued(
    config: ExperimentConfig, stored: Mapping[str, Any]
) -> tuple[ExperimentConfig, str | None]:
    """An experiment as it goes on with stored results, and a sentence on what that changes.

    How pictures are turned stays as the results have it, unless the experiment itself says it.

    Args:
        config: Of the experiment.
        stored: The configuration beside the results.

    Returns:
        The configuration, and the sentence, None where it is the one that was given.
    """
    data = completed(stored).get("data")
    had = data.get("exif_rotation") if isinstance(data, Mapping) else None
    said = "exif_rotation" in config.data.model_fields_set
    if said or had not in get_args(ExifRotation) or had == config.data.exif_rotation:
        return config, None
    kept = config.data.model_copy(update={"exif_rotation": had})
    return config.model_copy(update={"data": kept}), (
        f'data.exif_rotation stays "{had}", as the results in {config.results_folder} have it; to '
        f'begin anew with "{config.data.exif_rotation}", set it and use --fresh or another name.'
    )
