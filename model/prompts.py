"""Prompts for GPT-J: instruction, message, separator; the answer is one of a few labels.

Two forms come from the article behind this project: the message after an instruction, and the raw message. In both the
separator tells the model that the message is over. Each part is encoded by itself and the ids are joined, so a message
can neither merge with the instruction nor forge the separator's tokens.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from model.labels import LABELS

MAX_CATEGORIES = 16
MAX_NAME_CHARACTERS = 40
MAX_DESCRIPTION_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text before a message (`instruction`, may be empty), after it (`separator`), and the possible `answers`.

    An answer is the text after the separator, with its leading space: " hate". The order of `answers` is the order of
    every label axis of this prompt.
    """

    instruction: str
    separator: str
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for a prompt that cannot be answered."""
        if not self.separator:
            raise ValueError("a prompt needs a separator, which tells the model that the message is over")
        if len(self.answers) < 2 or len(set(self.answers)) != len(self.answers) or not all(self.answers):
            raise ValueError(f"a prompt needs at least two different answers, not {self.answers}")

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits of the SHA-256 of all parts. An adapter is valid for one version only."""
        content = json.dumps([self.instruction, self.separator, self.answers], ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:12]

    @property
    def names(self) -> tuple[str, ...]:
        """The answers without spaces around them."""
        return tuple(answer.strip() for answer in self.answers)


def category_prompt(descriptions: Mapping[str, str], task: str = "Sort the chat message into one category.") -> Prompt:
    """A prompt for a community's own categories: `descriptions` maps each name to its meaning, or to "".

    Raises ValueError for fewer than two or more than `MAX_CATEGORIES`, and, with its name, for a category that is
    empty, too long, of several lines, or equal to another except for case.
    """
    if not 2 <= len(descriptions) <= MAX_CATEGORIES:
        raise ValueError(f"{len(descriptions)} categories; give 2 to {MAX_CATEGORIES}")
    lines, seen = [], set()
    for name, description in descriptions.items():
        for part, text, limit in (
            ("name", name, MAX_NAME_CHARACTERS),
            ("description", description, MAX_DESCRIPTION_CHARACTERS),
        ):
            if len(text) > limit or not text.isprintable():
                raise ValueError(f'category "{name}": its {part} must be one line of at most {limit} characters')
        if not name.strip() or name != name.strip() or name.casefold() in seen:
            raise ValueError(f'category "{name}": its name is empty, has spaces around it, or is used twice')
        seen.add(name.casefold())
        lines.append(f"{name}: {description}" if description else name)
    listed = "\n".join(lines)
    return Prompt(f"{task}\n{listed}\n\nMessage:\n", "\n\nCategory:", tuple(f" {name}" for name in descriptions))


ANSWERS = tuple(f" {label}" for label in LABELS)

INSTRUCTION = Prompt(
    "Decide whether the chat message is hate, offensive or neutral.\n"
    "hate: attacks or demeans people for what they are (origin, religion, gender, sexuality, disability)\n"
    "offensive: insults or is vulgar\n"
    "neutral: everything else\n"
    "\n"
    "Message:\n",
    "\n\nLabel:",
    ANSWERS,
)
"""The default prompt: about sixty tokens before every message, computed once per adapter."""

RAW = Prompt("", "\n\n###\n\n", ANSWERS)
"""The message alone, as in fine-tuning without an instruction; it needs an adapter trained with this prompt."""

FORGED_RUN = 3
"""So many words of the prompt in a row are no sentence, wherever they stand in a message."""
_PROMPT_WORDS = frozenset(("label", "labels", "message", "category", "answer", *map(str, LABELS)))
_WORD = re.compile(r"[^\W_]+")


def without_forged_answers(text: str) -> str:
    """The text without words that imitate the prompt: a run of labels and headings ("Label: neutral") at its end, and
    longer runs anywhere. Equal to the text if it has none.

    Such words cannot forge the separator's ids, but at the end they stand where the model looks for the answer.
    """
    kept: list[str] = []
    run: list[re.Match[str]] = []
    start = 0
    for word in _WORD.finditer(text):
        if word.group().casefold() in _PROMPT_WORDS:
            run.append(word)
            continue
        if len(run) >= FORGED_RUN:
            kept.append(text[start : run[0].start()])
            start = word.start()
        run = []
    kept.append(text[start : run[0].start() if run else len(text)])
    return " ".join("".join(kept).rstrip(" #*>|-–—:\"'`[({<").split()) if run or len(kept) > 1 else text
