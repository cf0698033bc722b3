"""What an exported model says of files, line by line: the columns of `tl-keras predict`."""

from collections.abc import Sequence

from tl_keras.data.picture_bytes import PictureFile, why_unreadable
from tl_keras.serving.exported_classifier import Answers

Line = dict[str, str | float]


def columns(decides: bool, knows_strangers: bool) -> list[str]:
    """Those of a table, in their order; the first names the file.

    Args:
        decides: whether decisions are told, by the export or by the rule beside it.
        knows_strangers: whether the export tells how familiar photos are.
    """
    decided = ["confidence", "decision"] if decides else []
    familiar = ["familiar"] if knows_strangers else []
    return ["file", "label", "probability", *decided, *familiar, "problem"]


def lines_of(files: Sequence[PictureFile], answers: Answers, max_megapixels: float) -> list[Line]:
    """All but the first column: a dict per file.

    Args:
        files: that were asked about; those that could not be decoded are looked into.
        answers: to them.
        max_megapixels: as the export reads pictures.
    """
    lines, probability, verdicts = [], answers.probability, answers.verdicts
    for place, file in enumerate(files):
        line: Line = {"label": answers.labels[place], "probability": float(probability[place])}
        if verdicts:
            word, sure = verdicts[place]
            line |= {"confidence": sure, "decision": word}
        if answers.familiar is not None:
            line["familiar"] = float(answers.familiar[place])
        line["problem"] = "" if answers.decoded[place] else why_unreadable(file, max_megapixels)
        lines.append(line)
    return lines
