"""Many calls on two workers: each has one worker, and everything that is said about it finds its way there."""

from voicebot.local.phone.scenario import Wait

SCRIPT = [
    {"at_ms": 300, "say": "hello there", "until_ms": 600, "end_ms": 800},
    {"at_ms": 2_000, "say": "good bye", "until_ms": 2_300, "end_ms": 2_500},
]
CALLS = 16


async def living(session):
    async with session.get("/calls?state=live") as answer:
        return {call["id"] for call in (await answer.json())["items"]}


async def test_each_call_is_carried_by_one_worker_and_all_turns_arrive(crew):
    c = await crew(SCRIPT)
    h = c.house
    [folder] = c.directory.glob("voicebot-*")
    assert {path.name for path in folder.iterdir()} == {"0.http", "0.streams", "1.http", "1.streams"}
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}
    phones = [h.dial(Wait(wait=600), pace=3.0) for _ in range(CALLS)]
    for phone in phones:
        await h.app.until("turn.completed", 2, phone.sid)
    async with c.port() as session:
        for _ in range(4):
            assert await living(session) == {phone.sid for phone in phones}
    for phone in phones:
        report = await phone.hang_up()
        assert report.notes == []
        await h.app.until("call.ended", call=phone.sid)
        assert [event["data"]["turn"]["text"] for event in h.app.of("turn.completed", phone.sid)] == [
            "hello there",
            "good bye",
        ]
        sequence = [event["sequence"] for event in h.app.events if event["call"]["id"] == phone.sid]
        assert sorted(sequence) == list(range(1, len(sequence) + 1))
    assert await c.stop() == 0
    for phone in phones:
        [ended] = c.log.of("call.ended", call=phone.sid)
        assert ended["worker"] == c.owner(phone.sid)
    assert {c.owner(phone.sid) for phone in phones} == {0, 1}
    assert c.log.of("worker.handed_over")
    assert c.log.of("worker.forwarded")
    # A slow machine may be told as trouble; nothing of the workers' own, and no error, may.
    assert [line for line in c.log.all if line["level"] in {"error", "critical"}] == []
    assert [line for line in c.log.all if line["level"] == "warning" and line["event"].startswith("worker.")] == []
    assert c.words == []
    assert not list(c.directory.glob("voicebot-*"))
