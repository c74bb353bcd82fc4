"""Work that is done side by side, in order where that matters: of one author, of one message."""

import asyncio


class Ordering:
    """Knows the work under each key, in the order in which it began.

    Work waits only if it asks to (`before`), and then only for earlier work, so two never wait for each other.
    """

    def __init__(self) -> None:
        self._at_work: dict[str, dict[int, asyncio.Event]] = {}

    def begin(self, key: str, number: int) -> None:
        """Behind the others of this key."""
        self._at_work.setdefault(key, {})[number] = asyncio.Event()

    def end(self, key: str, number: int) -> None:
        """The second time it does nothing."""
        numbers = self._at_work.get(key, {})
        if (ended := numbers.pop(number, None)) is not None:
            ended.set()
        if not numbers:
            self._at_work.pop(key, None)

    async def before(self, key: str, number: int) -> None:
        """Returns once what began before it has ended."""
        for earlier, ended in list(self._at_work.get(key, {}).items()):
            if earlier == number:
                return
            await ended.wait()
