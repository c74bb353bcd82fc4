"""What moderators ask: why, what if, how is it, who."""

from datetime import UTC, datetime, timedelta

import discord

from bot.cases.card import explained, probabilities, title
from bot.conversation.wording import counts_line, mode_line
from bot.domain.action import action_text, decided
from bot.domain.event import Author, Message, MessageKey
from bot.domain.platform import Gone, MissingPermission, RateLimited, Unreachable
from bot.domain.policy import Band, Policy
from bot.pipeline.question_lane import SILENT, why_silent
from bot.platforms.discord.acting import refusals
from bot.platforms.discord.asking import Asked, fetched, refers
from bot.platforms.discord.clicks import case_of, explain, explanation
from bot.platforms.discord.events import PLATFORM, event_of
from bot.platforms.discord.inert import block, inline
from bot.platforms.discord.layout import buttons, embed, link
from bot.platforms.discord.may_read import Readable, sees
from bot.platforms.discord.rights import shows_cards
from bot.platforms.discord.who_may import DEEDS
from bot.store.store import decision_json

PREVIEWED, PREVIEW_LINES, HISTORY_LINES = 200, 12, 12


async def explain_message(asked: Asked, reference: str, message: discord.Message | None = None) -> None:
    """By its case where there is one; else read now. Members may ask about their own messages only."""
    where = refers(reference, asked.guild.id, asked.interaction.channel_id)
    if where is not None and asked.level >= DEEDS["explain …"]:
        case = await asked.bot.store.case_of(PLATFORM, asked.community, str(where[1]))
        if case is not None and (case.message.text or case.message.quoted) and await asked.may_read(case.message.key):
            await explain(asked, case)
            return
    message = message or await fetched(asked, reference)
    if message is None:
        await asked.tell(asked.say("no-message"))
        return
    if asked.level < DEEDS["explain …"] and message.author.id != asked.member.id:
        await asked.tell(asked.say("not-allowed-moderator"))
        return
    event = event_of(message, asked.setup.moderator_roles)
    if event is None:
        await asked.tell(asked.say("explain-nothing"))
        return
    known = await asked.bot.store.journalled(*event.key.address)
    await _explain_text(asked, event, stored=known is not None and known.text == event.text)


async def test(asked: Asked, text: str) -> None:
    """What would be made of a text."""
    event = _typed(asked, text)
    await _explain_text(asked, event, stored=True, quoted=text)


async def preview(asked: Asked, policy: Policy | None = None) -> None:
    """What the policy, or another one, would have made of this channel's last messages."""
    channel = asked.interaction.channel
    if not isinstance(channel, Readable) or not await sees(asked.guild, asked.member, channel):
        await asked.tell(asked.say("preview-none", room="?"))
        return
    events: list[Message] = []
    try:
        async with refusals(asked.guild, "read_message_history", channel.id):
            async for message in channel.history(limit=PREVIEWED):
                own = message.author.id == asked.guild.me.id
                if not own and (event := event_of(message, asked.setup.moderator_roles)) is not None:
                    events.append(event)
    except MissingPermission as error:
        await asked.tell(error.why.text(asked.language))
        return
    except (Gone, RateLimited, Unreachable) as error:
        await asked.tell(asked.say("not-answering", error=str(error)))
        return
    room = f"<#{channel.id}>"
    if not events:
        await asked.tell(asked.say("preview-none", room=room))
        return
    try:
        judged = await asked.bot.case_service.preview(events, asked.asker, policy)
    except SILENT as error:
        await asked.tell(why_silent(asked.language, error))
        return
    shown = [(event, one.decision) for event, one in judged if one.decision.band is not Band.CLEAR]
    acted = [decision for _, decision in shown if decision.band is Band.ACTION]
    lines = [asked.say("preview-title", count=len(events), room=room, cards=len(shown), acted=len(acted))]
    for event, decision in sorted(shown, key=lambda pair: -pair[1].score)[:PREVIEW_LINES]:
        names = ", ".join(action_text(asked.language, action) for action in decision.actions)
        label, score = asked.say(f"label-{decision.label}"), round(100 * decision.score)
        lines.append(f"{asked.say('preview-line', label=label, score=score, actions=names)} {inline(event.text)}")
    await asked.tell("\n".join(lines))


async def status(asked: Asked) -> None:
    """Everything a moderator needs to know whether all is well."""
    bot, setup = asked.bot, asked.setup
    policy = await bot.pipeline.policy(asked.community)
    counts = await bot.store.counts(asked.community, datetime.now(UTC) - timedelta(days=1))
    await bot.changed(asked.guild)
    missing = bot.look(asked.guild, setup, policy)
    alerts = asked.say("status-alerts", room=f"<#{setup.alert_room}>") if shows_cards(asked.guild, setup) else None
    lines = [
        f"**{asked.say('status-title', server=inline(asked.guild.name))}**",
        mode_line(policy, asked.language, is_paused=bot.pipeline.cap.is_paused(asked.community)),
        asked.say("status-model", adapter=bot.adapter_of(asked.community)),
        counts_line(counts, asked.language),
        alerts or asked.say("status-no-alerts"),
    ]
    found = (
        bot.pipeline.trouble,
        bot.trouble,
        bot.circuit_breaker.trouble(),
        bot.circuit_breaker.trouble(asked.community),
    )
    troubles = [trouble for trouble in found if trouble is not None]
    lines += [asked.say("status-trouble", text=trouble.text(asked.language)) for trouble in troubles]
    lines += [f"⚠️ {one.text(asked.language)}" for one in bot.health.notices(asked.community)]
    if not missing:
        lines.append(asked.say("status-rights-fine"))
    lines += [f"⚠️ {one.why.text(asked.language)}" for one in missing[:10]]
    if len(missing) > 10:
        lines.append(asked.say("digest-more", count=len(missing) - 10))
    await asked.tell("\n".join(lines))


async def show_case(asked: Asked, number: int) -> None:
    """A case's card, for whoever asks alone."""
    case = await case_of(asked, number)
    if case is None or not await asked.may_read(case.message.key):
        await asked.tell(asked.say("no-case", case=str(number)))
        return
    shown = await asked.bot.case_service.card(case, asked.language)
    await asked.tell("", embed=embed(shown, case, asked.language), view=buttons(shown))


async def history(asked: Asked, member: discord.User) -> None:
    """A member's cases, newest first."""
    author = asked.bot.store.sealer.author(PLATFORM, asked.community, str(member.id))
    cases = [
        case
        for case in await asked.bot.store.history(asked.community, author)
        if await asked.may_read(case.message.key)
    ]
    lines = [asked.say("history-title", author=f"<@{member.id}>", count=len(cases))]
    for case in cases[:HISTORY_LINES]:
        decision = case.message.decision
        todo = decided(decision) if decision["enforced"] else ()
        done = ", ".join(action_text(asked.language, action) for action in todo)
        state = asked.say(f"state-{case.state}") + (f" · {done}" if done else "")
        text = asked.say("digest-line", title=title(case, asked.language), state=state, case=case.id)
        where = f" · [↗]({there})" if (there := link(case)) else ""
        lines.append(f"<t:{int(case.message.sent_at.timestamp())}:d> {text}{where}")
    await asked.tell("\n".join(lines))


async def _explain_text(asked: Asked, event: Message, *, stored: bool, quoted: str = "") -> None:
    try:
        others = asked.level >= DEEDS["explain …"]
        judged, found = await asked.bot.case_service.explain(event, asked.asker, asked.may_read, others=others)
    except SILENT as error:
        await asked.tell(why_silent(asked.language, error))
        return
    lines, pieces = explained(found, decision_json(judged.decision), asked.language)
    lines.insert(
        0, asked.say("explain-verdict", probabilities=probabilities(judged.verdict.probabilities, asked.language))
    )
    if not stored:
        lines.insert(0, asked.say("explain-not-stored"))
    if quoted:
        lines.insert(0, block(quoted, asked.language, 800))
    await asked.tell(explanation(lines, pieces))


def _typed(asked: Asked, text: str) -> Message:
    """A text somebody typed into a command, as if it had been written here."""
    key = MessageKey(PLATFORM, asked.community, str(asked.interaction.channel_id or 0), "test")
    return Message(key, Author(str(asked.member.id), asked.member.display_name), text, datetime.now(UTC))
