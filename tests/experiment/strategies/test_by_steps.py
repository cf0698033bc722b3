"""What training by steps is expected to take."""

import pytest

from tl_keras.config.files import parse_config
from tl_keras.experiment.strategies.by_steps import seconds
from tl_keras.transfer.run_plan import Run


@pytest.mark.parametrize(
    ("strategy", "trainings"), [("feature_extraction", 3), ("from_scratch", 3), ("searched", 1)]
)
def test_augmentation_is_compared_where_no_search_has_chosen_it(
    strategy: str, trainings: int
) -> None:
    light, compared = (
        seconds(
            Run(strategy, 0, 5),
            parse_config(
                {"name": "a", "data": {"folder": "a"}, "training": {"augmentation": level}}
            ),
            train=20,
            validation=10,
        )
        for level in ("light", "search")
    )
    assert compared == trainings * light
