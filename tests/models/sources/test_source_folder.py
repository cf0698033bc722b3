"""What is said of an experiment that left no source model."""

import json
from pathlib import Path

import pytest

from tl_keras.errors import WeightsError
from tl_keras.models.sources.source_folder import find_source_folder
from tl_keras.strategy_table import STRATEGIES, StrategySpec


def test_every_strategy_that_changes_the_backbone_is_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = StrategySpec("lowest", "lowest", "the lowest block", "lowest", unfrozen="all")
    monkeypatch.setitem(STRATEGIES, spec.name, spec)
    run = tmp_path / "runs" / "linear_probe-n5-s0"
    run.mkdir(parents=True)
    config = {"backbone": {"weights": "bundled"}, "strategies": ["linear_probe"]}
    for file, content in (
        (tmp_path / "config.json", config),
        (tmp_path / "export.json", {"run_id": run.name}),
        (run / "row.json", {"run_id": run.name, "strategy": "linear_probe"}),
    ):
        file.write_text(json.dumps(content))
    with pytest.raises(WeightsError) as refused:
        find_source_folder(tmp_path)
    said = str(refused.value)
    for name in ("from_scratch", "fine_tuning", "searched", "lowest"):
        assert name in said
    assert "feature_extraction" not in said
