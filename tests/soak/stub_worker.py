"""A stub where the model's process would be, in plain Python: it speaks `model.serving.worker`'s protocol and starts in
30 ms.

The soak starts the service hundreds of times, and loading a model each time would take longer than everything else. All
of the parent's side, `model.serving.worker.Worker`, is real. Verdicts follow from the text alone: "HATE" in it is hate,
"RUDE" offensive enough to be acted on, "SHADY" offensive enough to be shown.
"""

import json
import sys
from typing import Any

SHARES = {"HATE": (0.95, 0.04, 0.01), "RUDE": (0.02, 0.96, 0.02), "SHADY": (0.05, 0.75, 0.2)}
HARMLESS = (0.01, 0.02, 0.97)
"""(hate, offensive, neutral)"""


def verdict(text: str, adapter: str) -> dict[str, Any]:
    """As JSON."""
    shares = next((found for word, found in SHARES.items() if word in text), HARMLESS)
    return {"probabilities": shares, "base": "stub", "adapter": adapter}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """One line's."""
    if "embed" in request:
        return {"vectors": [[1.0, 0.0] for _ in request["embed"]]}
    return {"verdicts": [verdict(text, adapter) for text, adapter, *_ in request["items"]]}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
