"""How much to borrow, before anything is trained: measurements first, the classical rule second.

The classical rule: with little data and a task like the source's, freeze and train the head; with
little data and another task, borrow the lower blocks only; with more data fine-tune, and the more
so the more the task differs. What the probes measure on the training images overrules it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd

from tl_keras.strategy_table import FINE_TUNING, HEAD_ONLY, PROBING, STRATEGIES
from tl_keras.transfer.measurements import Measurements
from tl_keras.transfer.network_words import measured_in_words, reach_in_words
from tl_keras.transfer.probing import AVERAGE, average_weights, choose_block
from tl_keras.transfer.representation import Representation
from tl_keras.transfer.source_checks import Check, check_input, check_similarity, check_size

# Images per class from which fine-tuning is worth its time and its risk: what a like source knows
# is hard to improve on, and with 50 photos of each animal fine-tuning still lost to probes
# (results/reference/advice.csv).
ENOUGH_IMAGES, ENOUGH_IF_ALIKE = 30, 100
# An accuracy of the probes, cross-validated, that leaves little for fine-tuning to gain.
NEARLY_ALL = 0.97

# With fewer labelled images in all, probes are a guess whatever they say.
FEW_IMAGES = 30

Confidence = Literal["clear", "likely", "a guess"]


@dataclass(frozen=True, repr=False)
class Advice:
    """What to borrow and why.

    Attributes:
        strategy: what to train, `PROBING`, `HEAD_ONLY` or `FINE_TUNING` of the table.
        cut: block to end the network after; "top" is the whole.
        unfrozen_blocks: from the fewest to the most that are worth trying, as in the
            configuration; both 0 where nothing should be unfrozen.
        confidence: how clearly the probes tell the best block from the last one.
        classical: what the classical rule says.
        overruled: whether the measurements say otherwise.
        images_per_class: in the class that has fewest.
        training_images: that all of this was computed on.
        checks: the conditions for transfer.
        reasons: sentences.
        image_size: of the network's input, pixels.
        representation: what the probes read of each block: pooling, views and penalty, as in the
            section probe of the configuration; empty without probes.
        network: its entry in the configuration where one was chosen of several networks or sizes;
            else None.
        networks: a row per network and size that were measured, see
            `tl_keras.experiment.network_choice`; empty without a choice.
        blocks: a row per block: block, depth, accuracy, accuracy_low, accuracy_high,
            cross_entropy, excess, excess_se, weight, logme, distance; empty where the images were
            too few to cross-validate.
        backbone: that was asked about, as in the configuration.
    """

    strategy: str
    cut: str
    unfrozen_blocks: tuple[int | str, int | str]
    confidence: Confidence
    classical: str
    overruled: bool
    images_per_class: int
    training_images: int
    checks: tuple[Check, ...]
    reasons: tuple[str, ...]
    image_size: int
    representation: Mapping[str, Any]
    network: str | None
    networks: pd.DataFrame
    blocks: pd.DataFrame
    backbone: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """In words: tables would fill the cell of a notebook."""
        return self.paragraph()

    def as_dict(self) -> dict[str, Any]:
        """As JSON types, for `advice.json`."""
        facts = dict(vars(self))
        facts["checks"] = [asdict(check) for check in self.checks]
        # stands in the configuration beside it
        del facts["backbone"]
        for name in ("networks", "blocks"):
            table = facts.pop(name)
            facts[name] = table.astype(object).where(table.notna(), None).to_dict("records")
        return facts

    def paragraph(self) -> str:
        """The advice for people, in sentences."""
        return " ".join((self._recommendation(), *self.reasons))

    def _recommendation(self) -> str:
        fewest, most = self.unfrozen_blocks
        depth = f", training its last {fewest} blocks, or more up to {most}" if most else ""
        sure = {
            "clear": "clear: the last block alone does worse by more than chance explains",
            "likely": "likely",
            "a guess": "a guess",
        }
        label = STRATEGIES[self.strategy].label
        reach = reach_in_words(self.cut)
        return f"Advice: {label} on {reach}{depth} ({sure[self.confidence]})."

    def settings(self) -> tuple[str, ...]:
        """What follows the advice, as `--set` takes it."""
        settings = [f'strategies=["{self.strategy}"]', f"backbone.cut={self.cut}"]
        if self.network is not None:
            settings.append(f"backbone.image_size={self.image_size}")
            if self.networks["network"].nunique() > 1:
                settings.append(f"backbone.name={self.network}")
        if STRATEGIES[self.strategy].asks_depths:
            settings.append(f"fine_tuning.unfrozen_blocks={json.dumps(self.unfrozen_blocks)}")
        return tuple(settings)

    def arguments(self) -> dict[str, Any]:
        """What follows the advice: `run_experiment(images=images, **advice.arguments())`."""
        size = {} if self.network is None else {"image_size": self.image_size}
        found: dict[str, Any] = {
            "backbone": {**self.backbone, **size, "cut": self.cut},
            "strategies": [self.strategy],
        }
        if STRATEGIES[self.strategy].asks_depths:
            found["fine_tuning"] = {"unfrozen_blocks": list(self.unfrozen_blocks)}
        return found


def advise(measured: Measurements) -> Advice:
    """The strategy, the cut and the depth that the measurements speak for."""
    per_class = int(np.unique(measured.labels, return_counts=True)[1].min())
    checks = (
        check_input(measured.card, measured.pixels, measured.scaling, measured.scaling_taken),
        check_size(measured.card, len(measured.labels)),
        check_similarity(measured.distances),
    )
    networks = pd.DataFrame() if measured.networks is None else measured.networks
    common: dict[str, Any] = {
        "images_per_class": per_class,
        "training_images": len(measured.labels),
        "checks": checks,
        "image_size": measured.image_size,
        "representation": _as_configured(measured.representation),
        "network": None if networks.empty else networks.loc[networks["chosen"], "network"].item(),
        "networks": networks,
    }
    told = list(filter(None, [measured_in_words(networks.to_dict("records"))]))
    if measured.probes.empty:
        return _without_probes(common, told)
    alike = checks[-1].finding in ("fulfilled", "not available")
    enough = ENOUGH_IF_ALIKE if alike else ENOUGH_IMAGES
    blocks = measured.probes[measured.probes["depth"].notna()]
    best, confidence, about_block = _best_block(blocks)
    strategy, depths, about_strategy = _strategy(measured.probes, per_class, enough, alike)
    little, frozen = per_class < enough, strategy == PROBING
    cut, last = best, str(blocks["block"].iloc[-1])
    if frozen:
        cut = list(average_weights(measured.probes))[-1]
        about_strategy += f" {_about_frozen(cut, last)}"
    # the rule keeps all blocks where tasks are alike, and gives up upper ones where they are not
    other_blocks = frozen and (cut != last) == alike
    overruled = frozen != little or other_blocks
    classical = _classical(little, alike)
    reasons = [
        *told,
        about_block,
        about_strategy,
        _about_draw(measured.seed),
    ]
    if measured.card is not None:
        data, task = "little" if little else "moderate", "alike" if alike else "different"
        agreement = _agreement(frozen, little, other_blocks, alike)
        rule = f"The classical rule (data {data}, tasks {task}) says: {classical}; {agreement}."
        reasons.append(rule)
    return Advice(
        strategy=strategy,
        cut="top" if cut == last else cut,
        unfrozen_blocks=depths,
        confidence=confidence,
        classical=classical,
        overruled=overruled,
        reasons=tuple(reasons),
        blocks=_with_scores(blocks, measured),
        **common,
    )


def _as_configured(chosen: Representation | None) -> dict[str, Any]:
    if chosen is None:
        return {}
    pooling = chosen.pooling
    return {"pooling": pooling.kind, "views": pooling.views, "penalty": chosen.penalty}


def _about_draw(seed: int) -> str:
    """Whose figures these are: they chose what is advised, and are not the means of the runs."""
    which = "the first" if seed == 0 else f"that of seed {seed}"
    return (
        f"These figures are of the photos of one draw, {which}, and chose the advice as well: on "
        "other photos they differ."
    )


def _with_scores(blocks: pd.DataFrame, measured: Measurements) -> pd.DataFrame:
    scores = {"logme": measured.logme, "distance": measured.distances or {}}
    columns = {name: blocks["block"].map(dict(by)).astype(float) for name, by in scores.items()}
    return blocks.assign(**columns).reset_index(drop=True)


def _classical(little: bool, alike: bool) -> str:
    if little:
        return "freeze the backbone" if alike else "freeze, and borrow the lower blocks only"
    return "fine-tune the upper blocks" if alike else "fine-tune everything at a small rate"


def _agreement(frozen: bool, little: bool, other_blocks: bool, alike: bool) -> str:
    """What the measurements say to the classical rule."""
    if frozen != little:
        return "the measurements overrule it"
    if not other_blocks:
        return "the measurements agree"
    speak = "against the upper blocks" if alike else "for the upper blocks too"
    return f"the measurements agree to freeze, and speak {speak}"


def _about_frozen(cut: str, last: str) -> str:
    """What of the network probes take."""
    if cut == last:
        return "The network is frozen and needed whole, as its last block is among those read."
    return f"The network is frozen, and nothing above {cut} is needed."


def _without_probes(common: Mapping[str, Any], told: Sequence[str]) -> Advice:
    return Advice(
        strategy=HEAD_ONLY,
        cut="top",
        unfrozen_blocks=(0, 0),
        confidence="a guess",
        classical="freeze the backbone",
        overruled=False,
        reasons=(
            "A class has too few images, or groups of them, to hold any out, so nothing was "
            "measured: this is the classical rule for little data.",
            *told,
        ),
        blocks=pd.DataFrame(),
        **common,
    )


def _best_block(blocks: pd.DataFrame) -> tuple[str, Confidence, str]:
    """The single block to borrow up to, how sure that is, and the sentence that says it."""
    last = blocks.iloc[-1]
    chosen = blocks.set_index("block").loc[choose_block(blocks)]
    images = int(blocks["images"].iloc[0])
    share = f"{chosen['accuracy']:.0%} of {images} labelled images, cross-validated"
    if chosen.name == last["block"]:
        sure: Confidence = "likely" if last["excess"] == 0 else "a guess"
        sentence = (
            f"A linear classifier on the last block reads {share}, and none on a block below has a "
            "lower loss by more than chance explains."
        )
    else:
        sure = "clear" if last["excess"] > 2 * last["excess_se"] else "likely"
        sentence = (
            f"A linear classifier on {chosen.name} alone, the deepest block whose loss is as low "
            f"as the best one's but for chance, reads {share}; one on the last block reads "
            f"{last['accuracy']:.0%}."
        )
    return str(chosen.name), sure if images >= FEW_IMAGES else "a guess", sentence


def _strategy(
    probes: pd.DataFrame, per_class: int, enough: int, alike: bool
) -> tuple[str, tuple[int | str, int | str], str]:
    """What to train, how deep, and why."""
    accuracy = float(probes.loc[probes["block"] == AVERAGE, "accuracy"].iloc[0])
    names = list(average_weights(probes))
    several = f"The average of probes on {len(names)} blocks ({names[0]} to {names[-1]}) reads"
    reads = f"{several if names[1:] else f'The probe on {names[0]} reads'} {accuracy:.0%}"
    if per_class < enough:
        kind = "like the source's" if alike else "unlike the source's"
        why = (
            f"{reads}; with {per_class} labelled images in a class, fine-tuning has more to lose "
            f"than to gain (the rule of thumb here asks for {enough} where low-level features are "
            f"{kind})."
        )
        return PROBING, (0, 0), why
    if accuracy >= NEARLY_ALL:
        return PROBING, (0, 0), f"{reads}, which leaves little for fine-tuning to gain."
    depths: tuple[int | str, int | str] = (2, "all") if alike else (4, "all")
    why = f"{reads}, and {per_class} images in every class are enough to adapt the blocks."
    return FINE_TUNING, depths, why
