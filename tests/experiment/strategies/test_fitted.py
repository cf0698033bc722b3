"""What a strategy's module hands over is checked where it is made."""

import numpy as np
import pandas as pd
import pytest

from tl_keras.experiment.strategies.fitted import HISTORY_COLUMNS, Fitted

ANSWERS = np.full((2, 2), 0.5, np.float32)


def fitted(history: pd.DataFrame) -> Fitted:
    return Fitted(ANSWERS, ANSWERS, weights={}, history=history)


@pytest.mark.parametrize("column", HISTORY_COLUMNS)
def test_a_history_without_one_of_its_columns_is_refused(column: str) -> None:
    history = pd.DataFrame({name: [1.0] for name in HISTORY_COLUMNS if name != column})
    with pytest.raises(ValueError, match=rf"lacks {column}\."):
        fitted(history)


def test_a_history_may_have_more_columns_or_no_epoch() -> None:
    history = pd.DataFrame({name: [1.0] for name in (*HISTORY_COLUMNS, "temperature")})
    assert fitted(history).history is history
    assert fitted(pd.DataFrame()).history.empty
