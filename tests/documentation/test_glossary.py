"""The glossary has the terms of the package's tables."""

import numpy as np

from tests.documentation.glossary import PLAIN, TERMS, unknown
from tl_keras.data.findings import KINDS
from tl_keras.evaluation.decision_rule import ACCEPT, REVIEW, UNKNOWN
from tl_keras.evaluation.metrics import METRICS
from tl_keras.reporting.audit_page import GRAVE
from tl_keras.strategy_table import STRATEGIES
from tl_keras.target_table import TARGETS
from tl_keras.transfer.source_checks import check_input, check_similarity, check_size


def test_strategies_metrics_and_formats_are_explained() -> None:
    assert not unknown(strategy.label for strategy in STRATEGIES.values())
    assert not unknown(metric.label for metric in METRICS.values())
    assert not unknown(TARGETS)


def test_decisions_are_explained() -> None:
    assert not unknown((ACCEPT, REVIEW, UNKNOWN, "positive", "negative"))


def test_conditions_for_transfer_are_explained() -> None:
    pixels = np.zeros((1, 32, 32, 3), np.uint8)
    checks = (check_input(None, pixels), check_size(None, 1), check_similarity(None))
    assert not unknown(check.name for check in checks)


def test_what_the_audit_finds_is_explained() -> None:
    assert not unknown(kind.replace("_", " ") for kind in (*KINDS, *GRAVE, "embedding_matches"))


def test_no_term_stands_among_the_plain_words() -> None:
    assert not TERMS & (PLAIN - {"experiment"})
