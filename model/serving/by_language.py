"""Two bases side by side: one reads English, the other reads all other languages.

A text whose language cannot be told, because it is too short, counts as English.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from model.classifier import AdapterRejected, Classifier, Item, Unavailable, Verdict, classify_places
from model.languages import ACTING, english_run, foreign_language
from model.package_files import PackageFileUnusable

ABOUT_AS_HARMFUL = 0.9
"""An English run counts from this share of the whole text's harm on."""


class ByLanguage:
    """A `Classifier` over two. `other_adapter` returns the name of the adapter that serves on the base for other
    languages; all its names have the same scope, and an item that names one already (an old case is explained) is read
    by that base.

    A verdict of the other base has the text's language, and `acts` is False unless that language is one of `ACTING`.
    Where it is not, the text's English run (`model.languages.english_run`) is read by the first base, too, and counts
    if it is about as harmful: else some foreign words beside an insult would spare its author.
    While the other base fails, the first answers for it as a stand-in, and `trouble` says why. Where languages cannot
    be told, everything counts as English.
    """

    def __init__(
        self,
        english: Classifier,
        other: Classifier,
        *,
        other_adapter: Callable[[], str],
        language_of: Callable[[str], str] = foreign_language,
    ) -> None:
        self._english = english
        self._other = other
        self._other_adapter = other_adapter
        self._scope = other_adapter().partition("/")[0] + "/"
        self._language_of = language_of
        self.trouble = ""
        """A sentence for moderators on why the base for other languages does not answer; "" while it does."""

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order; raises the errors of the first base, and `Unscorable` of both."""
        languages = [self._tell(item.text) for item in items]
        own = [item.adapter.startswith(self._scope) for item in items]
        serving = self._other_adapter()
        asked = [
            replace(item, adapter=item.adapter if is_own else serving, categories=()) if language or is_own else item
            for item, language, is_own in zip(items, languages, own, strict=True)
        ]
        others = [place for place, item in enumerate(asked) if item is not items[place] or own[place]]
        rest = sorted(set(range(len(items))) - set(others))
        spared = [place for place in others if languages[place] not in ACTING and not own[place]]
        runs = {place: run for place in spared if (run := english_run(items[place].text))}
        in_english = [replace(item, text=runs.get(place, item.text)) for place, item in enumerate(items)]
        of_others, of_english = await asyncio.gather(
            self._read_others(items, asked, others), classify_places(self._english, in_english, [*rest, *runs])
        )
        verdicts = dict(zip([*others, *rest], [*of_others, *of_english], strict=False))
        verdicts = {
            place: replace(verdict, language=languages[place], acts=languages[place] in ACTING)
            if languages[place]
            else verdict
            for place, verdict in verdicts.items()
        }
        for (place, run), verdict in zip(runs.items(), of_english[len(rest) :], strict=True):
            if verdict.harm >= ABOUT_AS_HARMFUL * verdicts[place].harm:
                verdicts[place] = replace(verdict, part=verdict.part or run)
        return [verdicts[place] for place in range(len(items))]

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Vectors of the base that reads each text; those of different bases are similar by chance only."""
        places = [place for place, text in enumerate(texts) if self._tell(text)]
        try:
            vectors = dict(zip(places, await self._embed(self._other, texts, places), strict=True))
        except Unavailable:
            vectors = {}
        rest = [place for place in range(len(texts)) if place not in vectors]
        vectors |= dict(zip(rest, await self._embed(self._english, texts, rest), strict=True))
        return [vectors[place] for place in range(len(texts))]

    def _tell(self, text: str) -> str:
        try:
            return self._language_of(text)
        except PackageFileUnusable as error:
            self.trouble = f"Languages cannot be told apart ({error}). Everything is read as English."
            return ""

    async def _read_others(self, items: Sequence[Item], asked: Sequence[Item], places: Sequence[int]) -> list[Verdict]:
        """The other base's verdicts, or a stand-in's while it fails."""
        try:
            verdicts = await classify_places(self._other, asked, places)
        except (AdapterRejected, Unavailable) as error:
            self.trouble = f"The model for other languages does not answer ({error}). Only English is acted on."
            first = [replace(item, adapter=self._first_adapter(items)) for item in items]
            return [replace(v, stand_in=True) for v in await classify_places(self._english, first, places)]
        if places:
            self.trouble = ""
        return verdicts

    def _first_adapter(self, items: Sequence[Item]) -> str:
        return next((item.adapter for item in items if not item.adapter.startswith(self._scope)), "")

    @staticmethod
    async def _embed(classifier: Classifier, texts: Sequence[str], places: Sequence[int]) -> list[list[float]]:
        return await classifier.embed([texts[place] for place in places]) if places else []
