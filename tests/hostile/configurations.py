"""Configurations as a tired person or a broken program writes them."""

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Config = dict[str, Any]
Path = tuple[str | int, ...]

# A valid experiment with a key of every kind, to be spoiled.
WHOLE: Config = {
    "name": "parts",
    "description": "Photos of parts.",
    "data": {
        "folder": "photos",
        "train_per_class": [5, 10],
        "validation_per_class": 5,
        "test_fraction": 0.3,
        "group_pattern": "part(\\d+)",
        "resize": "pad",
        "skip_unreadable": False,
    },
    "backbone": {"name": "MobileNetV2", "weights": None, "image_size": 96, "cut": "block_7"},
    "head": {"hidden_units": [16], "dropout": 0.2},
    "training": {
        "batch_size": 8,
        "augmentation": "light",
        "phase_1": {"epochs": 3, "learning_rate": 0.001, "patience": 2},
        "phase_2": {"epochs": 3},
    },
    "strategies": ["linear_probe", "fine_tuning"],
    "fine_tuning": {"unfrozen_blocks": [1, "all", "stem:block_2"]},
    "search": {"max_trials": 2, "learning_rates": [0.0001], "cuts": ["own", "top"]},
    "cache": {"memory_megabytes": 10},
    "decision": {"positive": ["dent"], "miss_cost": 5, "target_recall": 0.9},
    "seeds": 2,
    "results_dir": "results",
    "export_targets": ["onnx"],
    "deterministic": True,
}

NUMBERS: tuple[Any, ...] = (
    *(0, -0.0, -1, 1, 2, 0.5, 1.0, 1e-320, 1e308, 1e400, -1e400, float("nan")),
    *(2**31, 2**32, 2**63, 2**64, 10**30, 10**400, -(10**30)),
)
TEXTS: tuple[str, ...] = (
    *("", " ", "\0", "\ud800", "\udcff", "\ufeff", "\n", "\x1b[31m", "\u202e", "e\u0301", "🙂"),
    *("a" * 300, "a" * 5000, "a/" * 3000, "/" * 5000, "../" * 50, "~", "~nobody/x", "C:\\x", "."),
    *("(", "[", "(a+)+$", "a{99999999999}", "[" * 500, "(" * 500 + ")" * 500, "(?P<a>.)(?P=b)"),
    *("null", "NaN", "1e400", "all", "search", "imagenet", "bundled", ":", "a:b", "{}", "[[["),
)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [{}], {"": {}}, [None], [0] * 300)
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, *OTHERS)


def mutate(config: Config, rng: Random) -> Config | str:
    """A configuration with one to three things wrong, or the JSON text of one.

    Args:
        config: to begin with; it is not changed.
        rng: of the choices: the same state gives the same result.
    """
    changed = copy.deepcopy(config)
    for _ in range(rng.randint(1, 3)):
        rng.choice(_CHANGES)(changed, rng)
    return rng.choice(_TEXTS)(changed, rng) if rng.random() < 0.5 else changed


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths of all keys and elements."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, part in parts:
        yield (*path, key)
        if isinstance(part, dict | list) and len(path) < 5:
            yield from _places(part, (*path, key))


def _holder(config: Config, rng: Random) -> tuple[Any, Any]:
    """A section or list, and one of its keys or indices."""
    path = rng.choice([*_places(config)] or [()])
    holder: Any = config
    for part in path[:-1]:
        holder = holder[part]
    return holder, path[-1] if path else None


def _other_value(config: Config, rng: Random) -> None:
    holder, key = _holder(config, rng)
    if key is not None:
        holder[key] = copy.deepcopy(rng.choice(VALUES))


def _removed(config: Config, rng: Random) -> None:
    holder, key = _holder(config, rng)
    if key is not None:
        del holder[key]


def _misspelt(config: Config, rng: Random) -> None:
    holder, key = _holder(config, rng)
    if isinstance(key, str):
        place = rng.randrange(len(key) + 1)
        wrong = (
            key[:place] + rng.choice(["", "x", "_", "\0", "\ud800", "é", "."]) + key[place + 1 :]
        )
        holder[wrong] = holder.pop(key)


def _misplaced(config: Config, rng: Random) -> None:
    holder, key = _holder(config, rng)
    target, _ = _holder(config, rng)
    if key is not None and isinstance(target, dict):
        target[str(key)] = copy.deepcopy(holder[key])


def _wrapped(config: Config, rng: Random) -> None:
    holder, key = _holder(config, rng)
    if key is not None:
        for _ in range(rng.choice([1, 2, 60, 400])):
            holder[key] = {"a": holder[key]} if rng.random() < 0.3 else [holder[key]]


def _repeated(config: Config, rng: Random) -> None:
    holder, key = _holder(config, rng)
    if key is not None:
        holder[key] = [holder[key]] * rng.choice([2, 50, 2000])


def _many_keys(config: Config, rng: Random) -> None:
    holder, _ = _holder(config, rng)
    if isinstance(holder, dict):
        holder |= {f"key_{number}": number for number in range(rng.choice([3, 200]))}


def _twice(config: Config, rng: Random) -> str:
    text = json.dumps(config)
    return text[:-1] + ', "name": "again", "n\\u0061me": 3}' if len(text) > 2 else text


def _cut_off(config: Config, rng: Random) -> str:
    text = json.dumps(config)
    return text[: rng.randrange(len(text) + 1)]


def _scratched(config: Config, rng: Random) -> str:
    """With a few characters replaced, left out or doubled."""
    text = list(json.dumps(config, indent=rng.choice([None, 2])))
    for _ in range(rng.randint(1, 5)):
        text[rng.randrange(len(text))] = rng.choice([*'{}[],:"\\0e-', "", "NaN", "\0", "\ufeff"])
    return "".join(text)


def _nested(config: Config, rng: Random) -> str:
    depth = rng.choice([40, 60, 800, 990, 100_000])
    return rng.choice(["[" * depth, "[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])


def _plain(config: Config, rng: Random) -> str:
    return rng.choice(["", "\ufeff"]) * rng.randint(0, 2) + json.dumps(config)


_CHANGES: tuple[Callable[[Config, Random], None], ...] = (
    *(_other_value, _other_value, _other_value, _removed, _misspelt, _misplaced),
    *(_wrapped, _repeated, _many_keys),
)
_TEXTS: tuple[Callable[[Config, Random], str], ...] = (
    *(_plain, _plain, _twice, _cut_off, _scratched, _nested),
)
