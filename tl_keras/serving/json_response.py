"""Answers of the local server in JSON that a terminal can show, whatever the classes are called."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from tl_keras.safe_text import json_line


class JSONResponse(Response):
    """JSON in readable characters, with escapes for what a terminal would obey."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json_line(content).encode()


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """What was wrong, as TensorFlow Serving tells it."""
    return JSONResponse({"error": message}, status, headers)
