"""Bodies that a platform answers once although nobody expects them: what other servers, proxies and bugs have sent."""

import json
from collections.abc import Callable, Mapping
from typing import Any

Odd = Callable[[Any], tuple[int, bytes]]
"""The right answer's JSON to what is answered instead: (status, body)."""
NEST = 100_000


def _body(answer: Any) -> bytes:
    return json.dumps(answer).encode()


def _twisted(value: Any) -> Any:
    """Every number a word, every word a number, every list an object and the other way round."""
    match value:
        case bool() | None:
            return {"value": [value]}
        case int() | float():
            return "many"
        case str():
            return 10**30
        case dict():
            return {key: _twisted(one) for key, one in value.items()}
        case _:
            return {"list": True}


def _later(value: Any) -> Any:
    """Every date is out of range, and there is more than anybody knows of."""
    if isinstance(value, list):
        return [_later(one) for one in value]
    if not isinstance(value, dict):
        return value
    dated = {key: 10**18 if key.endswith("date") else _later(one) for key, one in value.items()}
    return dated | {"of_tomorrow": [{"deep": {}}]}


ODD: Mapping[str, Odd] = {
    "empty": lambda answer: (200, b""),
    "html": lambda answer: (200, b"<html><body>Welcome to nginx!</body></html>"),
    "no text": lambda answer: (200, b"\xff\xfe\x00{"),
    "null": lambda answer: (200, b"null"),
    "true": lambda answer: (200, b"true"),
    "list": lambda answer: (200, b"[]"),
    "nothing in it": lambda answer: (200, b"{}"),
    "twisted": lambda answer: (200, _body(_twisted(answer))),
    "more and later": lambda answer: (200, _body(_later(answer))),
    "deep": lambda answer: (200, b"[" * NEST),
    "huge": lambda answer: (200, b'{"ok": "' + b"x" * 3_000_000 + b'"}'),
    "list of an error": lambda answer: (500, b'[{"error": 1}]'),
    "error of words": lambda answer: (400, b'{"description": {"a": 1}, "code": "x", "message": 7, "parameters": []}'),
    "error in html": lambda answer: (502, b"<html>Bad Gateway</html>"),
}
"""What of it is good (`more and later`) must count as good."""
