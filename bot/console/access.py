"""Returns what a signed-in person may do where: asks the platform, again when a minute has passed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from bot.domain.event import MessageKey
from bot.domain.role import OPERATOR, STRANGER, WHOEVER_RUNS_IT, Person, Role, Standing
from bot.platforms.protocol import Remote
from bot.platforms.webchat import COMMUNITY

ASKED_AGAIN_S = 60.0
MOST_KEPT = 10_000
CANNOT_SEE = "(in a room that you cannot see)"


@dataclass(frozen=True, slots=True)
class Granted:
    """A community that a person may at least look at."""

    community: str
    name: str
    role: Role


class Access:
    """Rights, remembered for a minute at most. `operators` are accounts that may do everything."""

    def __init__(self, remotes: Sequence[Remote], operators: Collection[str] = ()) -> None:
        self._remotes = {remote.name: remote for remote in remotes}
        self._operators = frozenset(operators)
        self._answers: dict[tuple[str, ...], tuple[float, asyncio.Future[Any]]] = {}

    def is_operator(self, person: Person) -> bool:
        """Whether this is who runs the service, or was named by them."""
        return person.platform == OPERATOR or person.key in self._operators

    async def role(self, person: Person, community: str) -> Role:
        """Raises `Unreachable` where the platform does not answer: then nobody may do anything."""
        return (await self.standing(person, community)).role

    async def standing(self, person: Person, community: str) -> Standing:
        """The same with what the account may do by hand. Raises `Unreachable`."""
        if self.is_operator(person):
            return WHOEVER_RUNS_IT
        remote = self._remotes.get(person.platform)
        if remote is None or community == COMMUNITY:
            return STRANGER
        key = ("standing", person.key, community)
        current: Standing = await self._remembered(key, lambda: remote.standing(community, person.id))
        return current

    async def may_read(self, person: Person, key: MessageKey) -> bool:
        """Whether the platform shows this person what was written there. Raises `Unreachable`."""
        if self.is_operator(person):
            return True
        remote = self._remotes.get(person.platform)
        if remote is None or key.platform != person.platform:
            return False
        cache_key = ("may_read", person.key, key.community, key.room)
        return bool(await self._remembered(cache_key, lambda: remote.may_read(key, person.id)))

    async def granted(self, person: Person) -> list[Granted]:
        """Returns the communities that this person may at least look at, the try-out chat first, then by name. Raises
        `Unreachable`."""
        names = await self._names()
        if self.is_operator(person):
            wanted = [COMMUNITY, *sorted(names, key=lambda community: names[community].casefold())]
            return [Granted(one, names.get(one, one), Role.OPERATOR) for one in wanted]
        remote = self._remotes.get(person.platform)
        communities = [] if remote is None else await remote.communities(person)
        roles = [(one, await self.role(person, one)) for one in dict.fromkeys(communities)]
        granted = [Granted(one, names.get(one, one), role) for one, role in roles if role > Role.NOBODY]
        return sorted(granted, key=lambda one: one.name.casefold())

    async def _names(self) -> dict[str, str]:
        places = [place for remote in self._remotes.values() for place in (await remote.overview()).places]
        return {place.community: place.name for place in places}

    async def _remembered(self, key: tuple[str, ...], ask: Callable[[], Awaitable[Any]]) -> Any:
        """Asks one question at a time for a key. An answer serves for `ASKED_AGAIN_S`; an error serves only callers
        that wait."""
        now = time.monotonic()
        asked_at, answer = self._answers.get(key, (0.0, None))
        if answer is None or now - asked_at >= ASKED_AGAIN_S:
            if len(self._answers) >= MOST_KEPT:
                self._answers.clear()
            answer = asyncio.get_running_loop().create_future()
            self._answers[key] = now, answer
            try:
                answer.set_result(await ask())
            except BaseException as error:
                self._answers.pop(key, None)
                if isinstance(error, Exception):
                    answer.set_exception(error)
                    answer.exception()  # seen, also where no other caller waits
                else:
                    answer.cancel()
                raise
        return await asyncio.shield(answer)
