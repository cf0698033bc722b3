"""Requests for `:predict` in the row format of TensorFlow Serving's REST API, without the HTTP.

    {"instances": [{"b64": "..."}, {"image_bytes": {"b64": "..."}}]}

https://www.tensorflow.org/tfx/serving/api_rest
"""

import base64
import json
from typing import Any

from tl_keras.serving.signature_names import BYTES, IMAGE_BYTES

# Of brackets, braces and commas: a photo needs at most three, the request around them a few.
_MARKS_OF_A_PHOTO, _OTHER_MARKS = 3, 16
_SHOWN_CHARACTERS, _SHOWN_KEYS = 40, 5
_SPACE = b" \t\r\n\v\f"


class RequestError(Exception):
    """A request cannot be answered as it is; the message says what to change in it."""


def read_photos(body: bytes, max_batch: int) -> list[bytes]:
    """The contents of the files in a request, at least one, in their order.

    Args:
        body: of the request.
        max_batch: photos in it, at most.

    Raises:
        RequestError: it is no such request, or holds too many.
    """
    request = _read_object(body, max_batch)
    if (name := request.get("signature_name") or BYTES) != BYTES:
        raise RequestError(
            f"signature_name must be {BYTES!r} or be left out, got {_shown(name)}: the other "
            "signatures are answered by TensorFlow Serving."
        )
    instances = request.get("instances")
    if not isinstance(instances, list) or not instances:
        raise RequestError(
            'The request must have the key "instances", a list of at least one '
            f'{{"b64": "..."}}, got {_shown(instances or request)}.'
        )
    if len(instances) > max_batch:
        raise _too_many(max_batch, f"{len(instances)}")
    return [_photo(item, number) for number, item in enumerate(instances)]


def _read_object(body: bytes, max_batch: int) -> dict[str, Any]:
    # before anything is made of it: a body of brackets would take fifty times its size
    if sum(body.count(mark) for mark in b"[{,") > _MARKS_OF_A_PHOTO * max_batch + _OTHER_MARKS:
        if body.lstrip(_SPACE)[:1] not in (b"{", b"["):
            raise RequestError(
                'The request must be JSON such as {"instances": [{"b64": "..."}]}, got something '
                "else, such as a photo itself: send its bytes as base64."
            )
        raise _too_many(max_batch, "more values")
    try:
        request = json.loads(body)
    # not JSON, not UTF-8, a number of thousands of digits; nested without end
    except (ValueError, RecursionError) as error:
        # without what Python tells programmers to do about a number of many digits
        why = str(error).partition("; use sys.")[0]
        raise RequestError(
            f'The request must be JSON such as {{"instances": [{{"b64": "..."}}]}}, got: {why}.'
        ) from error
    if not isinstance(request, dict):
        raise RequestError(f"The request must be a JSON object, got {_shown(request)}.")
    return request


def _too_many(max_batch: int, received: str) -> RequestError:
    return RequestError(
        f"instances must hold at most {max_batch} photos, got {received}. Send several requests, "
        "or start the server with a larger --max-batch."
    )


def _photo(item: Any, number: int) -> bytes:
    named = isinstance(item, dict) and set(item) == {IMAGE_BYTES}
    value = item[IMAGE_BYTES] if named else item
    text = value["b64"] if isinstance(value, dict) and set(value) == {"b64"} else None
    if not isinstance(text, str):
        raise RequestError(
            f'Item {number} of instances must be {{"b64": "..."}}, a file in base64, got '
            f"{_shown(item)}."
        )
    try:
        compact = text.encode("ascii").translate(None, _SPACE).rstrip(b"=")
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except ValueError as error:
        raise RequestError(
            f"Item {number} of instances must be base64 in its standard alphabet (A-Z, a-z, 0-9, "
            f"+ and /), got {_shown(text)}. On a command line, base64 FILE writes it."
        ) from error


def _shown(value: Any) -> str:
    """A JSON value in a message, however long or deep it is."""
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        keys = [_shown(key) for key in list(value)[:_SHOWN_KEYS]]
        return f"an object with the keys {', '.join(keys)}" if keys else "an empty object"
    short = value[:_SHOWN_CHARACTERS] if isinstance(value, str) else value
    return json.dumps(short)[:_SHOWN_CHARACTERS]
