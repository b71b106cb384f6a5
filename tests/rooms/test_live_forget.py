"""A deleted call leaves nothing in the memory of the hub, and takes nothing else with it."""

from voicebot import live


def published(room, *calls):
    """Publish an opening, something in between and an end for each call, mixed."""
    for step in (
        lambda call: live.CallOpened(call, "+1", "+2", "inbound", "bot"),
        lambda call: live.Trouble(call, "something"),
        lambda call: live.CallClosed(call, "caller_hangup", 1, 0),
    ):
        for call in calls:
            room.publish(step(call))


async def test_those_who_come_back_get_the_rest_without_it():
    room = live.Live(100)
    published(room, "CA1", "CA2")
    room.forget("CA1")
    assert room.so_far("CA1") is None
    resume = room.resume(room.id(1))
    assert resume == 1
    with room.watch(None, resume) as watcher:
        batch = await watcher.take()
    assert [(entry.number, entry.event.call) for entry in batch.entries] == [(2, "CA2"), (4, "CA2"), (6, "CA2")]


async def test_a_call_that_lives_is_not_forgotten():
    room = live.Live(100)
    room.publish(live.CallOpened("CA1", "+1", "+2", "inbound", "bot"))
    room.forget("CA1")
    room.forget("CAnobody")
    assert room.so_far("CA1").live


async def test_memory_is_still_bounded_afterwards():
    room = live.Live(6)
    published(room, "CA1", "CA2")
    room.forget("CA1")
    published(room, "CA3", "CA4")
    assert room.so_far("CA2") is None
    assert len(room.so_far("CA4").entries) == 3
    assert room.resume(room.id(1)) == "history"
