"""Passes people's questions to the model in a lane of their own, so that they hold up no message, and limits them.

Explanations, tests, previews, reports and comparisons go through here. The lane is as fair as the messages' queue, by
community and then by person, and one slice of it at a time is with the model.
"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import IntEnum

from bot.pipeline.fair_queue import FairQueue
from bot.text.language import Language, say
from model.classifier import Classifier, Item, NotAnswering, Overloaded, Unscorable, Verdict
from model.serving.batcher import estimate_tokens

WITHIN_S = 60.0
SLICE_TOKENS, SLICE_TOKENS_BUSY = 1024, 256
"""The tokens of one slice, and of one while messages wait for the model."""
MOST_UNDER_WAY, MOST_OF_ONE_COMMUNITY = 40, 8
"""The most questions of members under way; a platform has room for more commands than that, so that others still get
their answers. Moderators may have half as many more."""


class Rank(IntEnum):
    """A person's rank where they ask."""

    MEMBER = 0
    MODERATOR = 1
    OPERATOR = 2


@dataclass(frozen=True, slots=True)
class Asker:
    """The person who asks, and where; `person` is "platform:id", so that questions are counted together wherever they
    are asked."""

    community: str
    person: str
    rank: Rank = Rank.MEMBER


@dataclass(frozen=True, slots=True)
class Limit:
    """Questions of one person within a minute, and the tokens after which no other one is begun."""

    questions: int
    tokens: int


LIMITS: Mapping[Rank, Limit] = {
    Rank.MEMBER: Limit(4, 6_000),
    Rank.MODERATOR: Limit(20, 60_000),
    Rank.OPERATOR: Limit(60, 200_000),
}


class AskLater(Exception):
    """The person has asked too much for now; they may ask again in `wait_s` seconds."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = max(1, math.ceil(wait_s))
        super().__init__(f"too many questions for now; ask again in {self.wait_s} s")


SILENT = (NotAnswering, AskLater)
"""The errors that may come instead of an answer."""


def why_silent(language: Language, error: Exception) -> str:
    """Returns one sentence for the asker."""
    if isinstance(error, AskLater):
        return say(language, "ask-later", seconds=error.wait_s)
    return say(language, "not-answering", error=str(error))


class Questions:
    """Gives each question a `Classifier` of its own. `is_busy` says whether messages wait for the model."""

    def __init__(self, classifier: Classifier, is_busy: Callable[[], bool] = lambda: False) -> None:
        self._classifier = classifier
        self._is_busy = is_busy
        self._lane = Lane(is_busy)
        self._spent: OrderedDict[str, deque[_Spent]] = OrderedDict()  # by person; the last to ask stands last
        self._under_way: dict[str, int] = {}

    @contextmanager
    def asked(self, asker: Asker) -> Iterator[Classifier]:
        """For one question. Raises `AskLater`, and then nothing was asked."""
        self._forget()
        now, limit, spent = time.monotonic(), LIMITS[asker.rank], self._spent.get(asker.person, deque())
        if (wait_s := _wait_s(spent, limit, now)) > 0:
            raise AskLater(wait_s)
        in_community, everywhere = self._under_way.get(asker.community, 0), sum(self._under_way.values())
        room = {Rank.MEMBER: 1.0, Rank.MODERATOR: 1.5, Rank.OPERATOR: math.inf}[asker.rank]
        if in_community >= room * MOST_OF_ONE_COMMUNITY or everywhere >= room * MOST_UNDER_WAY:
            raise AskLater(WITHIN_S / 2)
        spent.append(cost := _Spent(now))
        self._spent[asker.person] = spent
        self._spent.move_to_end(asker.person)
        self._under_way[asker.community] = in_community + 1
        try:
            yield _Slices(self, asker, cost)
        finally:
            self._under_way[asker.community] -= 1
            if not self._under_way[asker.community]:
                del self._under_way[asker.community]

    def uncounted(self, asker: Asker) -> Classifier:
        """Returns a classifier for questions with a limit of their own, such as reports; in the same lane."""
        return _Slices(self, asker, _Spent(0.0))

    @asynccontextmanager
    async def turn(self, asker: Asker, tokens: int) -> AsyncIterator[Classifier]:
        """One slice. Raises `Overloaded` where too many wait."""
        await self._lane.enter(asker, tokens)
        began = time.monotonic()
        try:
            yield self._classifier
        finally:
            self._lane.leave(time.monotonic() - began)

    @property
    def slice_tokens(self) -> int:
        """The tokens of the next slice."""
        return SLICE_TOKENS_BUSY if self._is_busy() else SLICE_TOKENS

    def _forget(self) -> None:
        """Forgets people who have asked nothing within the last minute; they stand first."""
        before = time.monotonic() - WITHIN_S
        while self._spent:
            person, spent = next(iter(self._spent.items()))
            if spent[-1].at > before:
                return
            del self._spent[person]


@dataclass(slots=True)
class _Spent:
    at: float
    tokens: int = 0


def _wait_s(spent: deque[_Spent], limit: Limit, now: float) -> float:
    """Returns the seconds until the person may ask again; 0 for now."""
    while spent and spent[0].at <= now - WITHIN_S:
        spent.popleft()
    tokens, questions, wait_s = sum(one.tokens for one in spent), len(spent), 0.0
    for one in spent:
        if questions < limit.questions and tokens < limit.tokens:
            break
        wait_s = one.at + WITHIN_S - now
        tokens, questions = tokens - one.tokens, questions - 1
    return wait_s


class Lane:
    """One at a time, in fair turns. While messages wait, the model has as much time for these alone after each."""

    def __init__(self, is_busy: Callable[[], bool], max_waiting: int = 500) -> None:
        self._is_busy = is_busy
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue(max_waiting)
        self._taken = False

    async def enter(self, asker: Asker, tokens: int) -> None:
        """Returns once it is this caller's turn; `leave` must follow. Raises `Overloaded`."""
        if not self._taken:
            self._taken = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        shed = self._waiting.put_now(asker.person, turn, community=asker.community, tokens=tokens)
        if shed is not None and not shed.done():
            shed.set_exception(Overloaded("too many questions are waiting"))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._next()
            raise

    def leave(self, took_s: float) -> None:
        """The next one's turn comes."""
        if self._is_busy():
            asyncio.get_running_loop().call_later(took_s, self._next)
        else:
            self._next()

    def _next(self) -> None:
        while len(self._waiting):
            if not (turn := self._waiting.take_now()).done():
                turn.set_result(None)
                return
        self._taken = False


@dataclass(slots=True)
class _Waiting:
    item: Item
    answer: asyncio.Future[Verdict]


class _Slices:
    """A `Classifier` for one question: it scores in slices, each in its turn; concurrent calls share a slice."""

    def __init__(self, questions: Questions, asker: Asker, spent: _Spent) -> None:
        self._questions = questions
        self._asker = asker
        self._spent = spent
        self._waiting: deque[_Waiting] = deque()
        self._one_slice = asyncio.Lock()

    async def classify(self, items: Sequence[Item]) -> list[Verdict]:
        """Returns one verdict per item, in order; raises what the classifier raises, and `Overloaded`."""
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(item, loop.create_future()) for item in items]
        self._waiting.extend(waiting)
        await asyncio.sleep(0)  # what is asked in the same turn of the loop comes along
        try:
            while not all(one.answer.done() for one in waiting):
                async with self._one_slice:
                    if not all(one.answer.done() for one in waiting):
                        await self._answer(self._slice())
            verdicts, bad = list[Verdict](), list[int]()
            for place, one in enumerate(waiting):
                if isinstance(one.answer.exception(), Unscorable):
                    bad.append(place)
                else:
                    verdicts.append(one.answer.result())
        finally:
            for one in waiting:
                one.answer.cancel()  # who has gone is not asked for
        if bad:
            raise Unscorable(str(waiting[bad[0]].answer.exception()), frozenset(bad))
        return verdicts

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Unit vectors, in order."""
        vectors: list[list[float]] = []
        while len(vectors) < len(texts):
            part = list(_fitting(texts[len(vectors) :], self._questions.slice_tokens))
            async with self._questions.turn(self._asker, self._charge(part)) as classifier:
                vectors += await classifier.embed(part)
        return vectors

    def _slice(self) -> list[_Waiting]:
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()
        texts = [one.item.text for one in self._waiting]
        return [self._waiting.popleft() for _ in _fitting(texts, self._questions.slice_tokens)]

    async def _answer(self, some: list[_Waiting]) -> None:
        if not (waiting := [one for one in some if not one.answer.done()]):
            return
        try:
            async with self._questions.turn(
                self._asker, self._charge([one.item.text for one in waiting])
            ) as classifier:
                verdicts = await classifier.classify([one.item for one in waiting])
        except Unscorable as error:
            for place in error.places or range(len(waiting)):
                _fail(waiting[place], Unscorable(str(error), frozenset()))
            self._waiting.extendleft(one for one in reversed(waiting) if not one.answer.done())
        except asyncio.CancelledError:
            self._waiting.extendleft(reversed(waiting))  # the callers of the other items ask again
            raise
        except Exception as error:
            for one in waiting:
                _fail(one, error)
        else:
            for one, verdict in zip(waiting, verdicts, strict=True):
                if not one.answer.done():
                    one.answer.set_result(verdict)

    def _charge(self, texts: Sequence[str]) -> int:
        tokens = sum(map(estimate_tokens, texts))
        self._spent.tokens += tokens
        return tokens


def _fitting(texts: Sequence[str], most_tokens: int) -> Iterator[str]:
    """Yields as many of the first texts as fit, and at least one."""
    tokens = 0
    for place, text in enumerate(texts):
        tokens += estimate_tokens(text)
        if place and tokens > most_tokens:
            return
        yield text


def _fail(one: _Waiting, error: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(error)
        one.answer.exception()  # the error is read here, because its caller may have gone
