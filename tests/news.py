"""A list that can be waited on."""

import asyncio

DEADLINE_S = 50
SHOWN = 60


class News:
    """What has happened so far; `until` waits for what is still to come."""

    def __init__(self):
        self.all = []
        self._bells = set()

    def __iter__(self):
        return iter(self.all)

    def add(self, item):
        self.all.append(item)
        for bell in self._bells:
            bell.set()

    async def until(self, wanted, count=1):
        """Wait for the `count`th item that `wanted` accepts."""
        bell = asyncio.Event()
        self._bells.add(bell)
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not (found := [item for item in self.all if wanted(item)][count - 1 :]):
                    bell.clear()
                    await bell.wait()
        except TimeoutError:
            there = "".join(f"\n  {str(item)[:SHOWN]}" for item in self.all[-SHOWN:])
            raise AssertionError(f"waited in vain; there was only{there}") from None
        finally:
            self._bells.remove(bell)
        return found[0]
