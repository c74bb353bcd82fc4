"""On Discord, too, one message is one offence: previews, edits, and what is said about them."""

from bot.domain.policy import LabelPolicy, Mode, Strikes
from tests.bot.platforms.discord.conftest import Scene, ago

RUDE = LabelPolicy(alert_at=0.5, act_at=0.75, actions=("warn",))
DELETE = LabelPolicy(alert_at=0.5, act_at=0.85, actions=("delete",))


async def test_previews_of_links_are_no_strikes(scene: Scene) -> None:
    """Two rude messages whose previews arrive: two strikes, and no timeout."""
    await scene.enforce(offensive=RUDE, strikes=Strikes(timeout_at=3))
    for number in range(2):
        message = await scene.server.says(scene.lounge, scene.ann, f"RUDE https://example.org/{number}")
        await scene.settled()
        await scene.server.unfurls(message, {"type": "link", "title": "An example", "url": "https://example.org"})
        await scene.settled()
    assert scene.guild.members[scene.ann.id].communication_disabled_until is None
    assert len(await scene.cases()) == 2
    assert (await scene.store.counts(scene.community, ago(hours=1))).acted == 2


async def test_a_preview_after_undo_or_neutral_punishes_nobody(scene: Scene) -> None:
    """The moderator's hand holds, although the text has grown."""
    await scene.enforce(offensive=RUDE)
    for word in ("Undo", "neutral"):
        message = await scene.server.says(scene.lounge, scene.ann, f"RUDE, {word}")
        await scene.settled()
        case = (await scene.cases())[-1]
        if word == "Undo":
            await scene.pipeline.take_back(case, "discord:1")
        else:
            await scene.store.record_correction(case.id, "discord:1", "neutral", None, ago(), confirms=False)
        before = len(await scene.cases())
        await scene.server.unfurls(message, {"type": "link", "title": "A song", "description": "by somebody"})
        await scene.settled()
        await scene.server.edits(message, f"RUDE, {word}!")
        await scene.settled()
        assert len(await scene.cases()) == before
    assert sum("RUDE" not in m.content for m in scene.server.bot_messages(scene.server.dm(scene.ann))) == 1


async def test_an_edit_that_makes_it_worse_is_acted_on_and_shown_on_the_same_card(scene: Scene) -> None:
    """Warned for the first words, deleted for the next; one card, which shows the next."""
    await scene.enforce(offensive=RUDE, hate=DELETE)
    message = await scene.server.says(scene.lounge, scene.ann, "RUDE")
    await scene.card()
    await scene.server.edits(message, "HATE")
    await scene.server.until(lambda: message.deleted)
    await scene.settled()
    await scene.server.until(lambda: any("HATE" in str(m.embeds) for m in scene.alerts.messages.values()))
    assert "HATE" in str((await scene.card()).embeds)


async def test_the_hourly_cap_is_told_once_with_a_button_that_ends_it(scene: Scene) -> None:
    """Old members, one message each: after two nobody is touched, until a moderator says so."""
    await scene.enforce(hate=DELETE, max_actions_per_hour=2)
    people = [scene.server.add_user(f"member{number}") for number in range(7)]
    for person in people:
        scene.guild.add_member(person, joined_at=ago(days=30))
    messages = [await scene.server.says(scene.lounge, person, "HATE") for person in people[:6]]
    await scene.settled()

    def paused() -> list[object]:
        return [m for m in scene.alerts.messages.values() if "looks like a model gone wrong" in m.content]

    await scene.server.until(paused)
    assert sum(message.deleted for message in messages) <= 2 and len(paused()) == 1
    assert (await scene.pipeline.policy(scene.community)).mode is Mode.ENFORCE
    assert "paused" in (await scene.runs(scene.mod, "status")).content
    (notice,) = paused()
    refused = await scene.server.clicks(scene.ben, notice, "Go on acting")  # type: ignore[arg-type]
    assert "Only moderators" in refused.content
    answer = await scene.server.clicks(scene.mod, notice, "Go on acting")  # type: ignore[arg-type]
    assert "act again by the policy" in answer.content
    last = await scene.server.says(scene.lounge, people[6], "HATE")
    await scene.server.until(lambda: last.deleted)
    assert len(paused()) == 1


async def test_new_accounts_with_two_messages_each_do_not_switch_it_off(scene: Scene) -> None:
    """Thirty-one of them, and a cap of ten: everything is deleted, and nothing pauses."""
    await scene.enforce(hate=DELETE, max_actions_per_hour=10)
    messages = []
    for number in range(31):
        person = scene.server.add_user(f"raider{number}")
        scene.guild.add_member(person)
        messages += [await scene.server.says(scene.lounge, person, f"HATE {n}") for n in range(2)]
    await scene.server.until(lambda: all(message.deleted for message in messages), timeout_s=60)
    assert not any(notice.name == "notice-cap" for notice in scene.notices)
