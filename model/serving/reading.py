"""How a text is read: the whole, and beside it the parts that could make the verdict worse.

A base that judges spans in the pass over the whole (`ReadsSpans`) looks at every sentence and every short window there,
and only the most harmful of them are then read by themselves. Any other base reads sentences and windows by themselves,
within a budget. docs/measurements.md has what the rule gives; `python -m benchmarks.parts` measures it anew.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from model.base import Base, Encoded, ReadsInstructions, ReadsSpans, Span
from model.kinds import Kind, severest
from model.labels import LABELS, Label
from model.normalize import line_view
from model.norms import Norm
from model.prompts import without_forged_answers
from model.scripts import readable
from model.serving import parts

MAX_WINDOWS = 32
"""Windows of the base's own length that one text is read in, at most; see `parts.spread` for a longer text."""
OVERLAP = 32
"""Tokens that neighbouring windows of the base's own length share."""
SHORT_WINDOWS = (6, 12)
"""Widths in words of the short windows within a sentence."""
READ_WINDOW = 16
"""Width in words of the short windows that a base without spans reads, in longer sentences."""
READ_PARTS, READ_SHARE = 16, 1.0
"""Parts that a base without spans reads, at most, and about their length together in relation to the whole."""

WHOLE_SHARE = 0.9
"""A sentence with so much of the text is the whole to a base without spans."""

_HATE, _NEUTRAL = LABELS.index(Label.HATE), LABELS.index(Label.NEUTRAL)


@dataclass(frozen=True, slots=True)
class Rule:
    """When a part is read by itself, and when it counts.

    A sentence or clause is read by itself from the harm `sentence_at` on, a short window from `window_at` on, and both
    from P(hate) `hate_at` on. These are the numbers of the pass over the whole, which sees the words around the part:
    a quoted insult stays a quoted one there. The most suspicious parts are read: `min_parts`, or more of a long text,
    up to `max_parts` and `max_share` of its length.

    Beside a whole with `sure_hate` none is read, and beside one with `sure_harm` only what looks more hateful: no other
    part could make the verdict worse. A part counts only if by itself it reaches `counts_hate` or `counts_harm`: of
    many parts of a harmless text one is often suspicious.
    """

    sentence_at: float = 0.5
    window_at: float = 0.9
    hate_at: float = 0.7
    min_parts: int = 4
    max_parts: int = 16
    max_share: float = 0.5
    sure_hate: float = 0.9
    sure_harm: float = 0.96
    counts_hate: float = 0.8
    counts_harm: float = 0.93

    def is_suspicious(self, row: Sequence[float], *, is_sentence: bool) -> bool:
        """Whether a span with these probabilities, in the text around it, is read by itself."""
        return 1 - row[_NEUTRAL] >= (self.sentence_at if is_sentence else self.window_at) or row[_HATE] >= self.hate_at

    def counts(self, row: Sequence[float]) -> bool:
        """Whether a part with these probabilities by itself counts."""
        return row[_HATE] >= self.counts_hate or 1 - row[_NEUTRAL] >= self.counts_harm


RULE = Rule()


@dataclass(frozen=True, slots=True)
class Window:
    """The framed ids of the whole or of a piece of it; its spans in tokens, and where in the view each stands.

    `is_sentence` says for each span whether it is a sentence or clause, or else a short window.
    """

    ids: Encoded
    spans: tuple[Span, ...] = ()
    places: tuple[parts.Span, ...] = ()
    is_sentence: tuple[bool, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """One text: what of its view the base can read, and the windows of that. `parts` are read by themselves in any
    case. `unread_script` is that of most letters if the base cannot read it."""

    view: str
    windows: tuple[Window, ...]
    parts: tuple[str, ...] = ()
    unread_script: str = ""

    def choose_parts(self, rows: Sequence[Sequence[Sequence[float]]], rule: Rule) -> list[str]:
        """The parts to be read by themselves, the most suspicious first.

        `rows` has the probabilities of each window: those of the whole window, then those of each of its spans.
        """
        hate = max(of_window[0][_HATE] for of_window in rows)
        harm = max(1 - of_window[0][_NEUTRAL] for of_window in rows)
        if hate >= rule.sure_hate:
            return []
        suspicious = [
            (1 - row[_NEUTRAL] + row[_HATE] / 2, place)
            for window, (_, *of_spans) in zip(self.windows, rows, strict=True)
            for place, is_sentence, row in zip(window.places, window.is_sentence, of_spans, strict=True)
            if rule.is_suspicious(row, is_sentence=is_sentence)
            and (harm < rule.sure_harm or row[_HATE] > max(hate, 0.5))
        ]
        suspicious.sort(key=lambda pair: -pair[0])
        chosen = list(dict.fromkeys(self.view[start:end] for _, (start, end) in suspicious))
        most = sum(length <= rule.max_share * len(self.view) for length in accumulate(map(len, chosen)))
        return list(dict.fromkeys([*self.parts, *chosen[: max(rule.min_parts, min(most, rule.max_parts))]]))


def read(base: Base, text: str, *, with_parts: bool = True) -> Reading:
    """Cuts a text for this base; an empty text is one empty window.

    A base that answers prompts also reads the whole without words that imitate the prompt's answers.
    """
    lines = line_view(text)
    whole = readable(lines.replace("\n", " "), base.scripts)
    view, unread_script = whole.text, whole.unread_script
    if len(view) < len(lines):
        lines = "\n".join(line for each in lines.split("\n") if (line := readable(each, base.scripts).text))
    places = _spans(lines) if with_parts and isinstance(base, ReadsSpans) else []
    windows = _windows(base, view, places)
    if not with_parts or isinstance(base, ReadsSpans):
        return Reading(view, windows, unread_script=unread_script)
    if isinstance(base, ReadsInstructions) and (plain := without_forged_answers(view)) not in ("", view):
        windows += _windows(base, plain)
    return Reading(view, windows, _parts_to_read(lines), unread_script)


def frame_part(base: Base, part: str) -> Encoded:
    """The framed ids of a part; of one longer than a window, its start: the windows of the whole have the rest."""
    return base.frame(base.encode(part)[: base.window_tokens])


def combine(
    rule: Rule,
    norm: Norm,
    whole: Sequence[Sequence[float]],
    of_parts: Sequence[tuple[str, Sequence[float]]],
    kinds: Sequence[Mapping[Kind, float]] = (),
) -> tuple[list[float], str, Mapping[Kind, float]]:
    """(a community's probabilities for a text, the part that decided or "", the text's kinds).

    P(hate) is that of the most hateful row and P(hate or offensive) that of the most harmful: a text is as bad as its
    worst part by each label's own scale. `kinds` are those of the windows and then of the parts; a community's norm may
    allow the kind of one part and not that of another.
    """
    kinds = kinds or [{}] * (len(whole) + len(of_parts))
    rows = [
        (part, norm.apply(row, of_row), of_row)
        for (part, row), of_row in zip([*(("", row) for row in whole), *of_parts], kinds, strict=True)
        if not part or rule.counts(row)
    ]
    hateful = max(rows, key=lambda row: row[1][_HATE])
    harmful = min(rows, key=lambda row: row[1][_NEUTRAL])
    of_text = severest(of_row for _, _, of_row in rows)
    if hateful is harmful:
        return hateful[1], hateful[0], of_text
    hate, neutral = hateful[1][_HATE], harmful[1][_NEUTRAL]
    offensive = max(0.0, 1 - hate - neutral)
    return [hate, offensive, neutral], (hateful if hate >= offensive else harmful)[0], of_text


def _spans(lines: str) -> list[tuple[parts.Span, bool]]:
    """(place, whether it is a sentence or clause) of each that is not the whole, and of each short window."""
    sentences = parts.find_sentences(lines)
    spans = [(sentence, True) for sentence in sentences if sentence != (0, len(lines))]
    for sentence in sentences:
        spans += [(place, True) for place in parts.find_clauses(lines, sentence)]
        spans += [(place, False) for words in SHORT_WINDOWS for place in parts.find_windows(lines, sentence, words)]
    return spans


def _windows(base: Base, view: str, places: Sequence[tuple[parts.Span, bool]] = ()) -> tuple[Window, ...]:
    """The windows of a view. Each place is a span of the last window that begins before it, if it lies within."""
    size = base.window_tokens
    if places and isinstance(base, ReadsSpans):
        ids, characters = base.encode_with_starts(view)
    else:
        ids, characters = base.encode(view), []
    starts = [0]
    if len(ids) > size:
        starts = parts.spread([*range(0, len(ids) - size, size - OVERLAP), len(ids) - size], MAX_WINDOWS, view)
    spans: list[list[tuple[Span, parts.Span, bool]]] = [[] for _ in starts]
    for (first, last), is_sentence in places:
        start, end = bisect_left(characters, first), bisect_left(characters, last)
        number = bisect_right(starts, start) - 1
        if start < end <= starts[number] + size:
            span = start - starts[number], end - starts[number]
            spans[number].append((span, (first, last), is_sentence))
    return tuple(
        Window(
            base.frame(ids[start : start + size]),
            tuple(span for span, _, _ in of_window),
            tuple(place for _, place, _ in of_window),
            tuple(is_sentence for _, _, is_sentence in of_window),
        )
        for start, of_window in zip(starts, spans, strict=True)
    )


def _parts_to_read(lines: str) -> tuple[str, ...]:
    """The sentences and short windows that are read by themselves, within the budget."""
    sentences = parts.find_sentences(lines)
    places = [place for place in sentences if place[1] - place[0] < WHOLE_SHARE * len(lines)]
    for sentence in sentences:
        places += parts.find_windows(lines, sentence, READ_WINDOW)
    characters = sum(end - start for start, end in places)
    most = min(READ_PARTS, int(len(places) * READ_SHARE * len(lines) / max(characters, 1)))
    chosen = (lines[start:end].replace("\n", " ") for start, end in parts.spread(sorted(places), most, lines))
    return tuple(dict.fromkeys(chosen))
