"""Wherever somebody can write something on Telegram, it is read: one toxic text in every field, new and edited."""

from typing import Any

import pytest

from bot.platforms.telegram.events import event_of, text_of
from tests.bot.telegram.conftest import Scene

BAD = "HATE in here"
FORWARD = {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "somebody"}}
SOMEBODY = {"id": 9, "is_bot": False, "first_name": "X"}
FIELDS: dict[str, dict[str, Any]] = {
    "text": {"text": BAD},
    "caption": {"photo": [{"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1}], "caption": BAD},
    "forwarded text": {"text": BAD, **FORWARD},
    "forwarded caption": {"caption": BAD, **FORWARD},
    "quote": {"text": "see", "quote": {"text": BAD, "position": 0, "is_manual": True}},
    "external reply's poll": {
        "text": "see",
        "external_reply": {"origin": FORWARD["forward_origin"], "poll": {"id": "1", "question": BAD, "options": []}},
    },
    "external reply's document": {"text": "see", "external_reply": {"document": {"file_name": BAD}}},
    "poll question": {"poll": {"id": "1", "question": BAD, "options": [{"text": "a", "voter_count": 0}]}},
    "poll option": {"poll": {"id": "1", "question": "a", "options": [{"text": BAD, "voter_count": 0}]}},
    "poll explanation": {"poll": {"id": "1", "question": "a", "options": [], "explanation": BAD}},
    "poll description": {"poll": {"id": "1", "question": "a", "options": [], "description": BAD}},
    "poll option added": {"poll_option_added": {"option_text": BAD, "option_persistent_id": "1"}},
    "document name": {"document": {"file_id": "a", "file_unique_id": "a", "file_name": f"{BAD}.pdf"}},
    "audio title": {"audio": {"file_id": "a", "file_unique_id": "a", "duration": 1, "title": BAD}},
    "audio performer": {"audio": {"file_id": "a", "file_unique_id": "a", "duration": 1, "performer": BAD}},
    "video name": {"video": {"file_id": "a", "file_unique_id": "a", "file_name": BAD}},
    "animation name": {"animation": {"file_id": "a", "file_unique_id": "a", "file_name": BAD}},
    "contact": {"contact": {"phone_number": "1", "first_name": BAD}},
    "contact's last name": {"contact": {"phone_number": "1", "first_name": "a", "last_name": BAD}},
    "venue title": {"venue": {"title": BAD, "address": "a", "location": {"latitude": 1, "longitude": 1}}},
    "venue address": {"venue": {"title": "a", "address": BAD, "location": {"latitude": 1, "longitude": 1}}},
    "game title": {"game": {"title": BAD, "description": "a", "photo": []}},
    "game text": {"game": {"title": "a", "description": "a", "text": BAD, "photo": []}},
    "invoice": {"invoice": {"title": "a", "description": BAD, "start_parameter": "", "currency": "EUR"}},
    "checklist title": {"checklist": {"title": BAD, "tasks": []}},
    "checklist task": {"checklist": {"title": "a", "tasks": [{"id": 1, "text": BAD}]}},
    "added task": {"checklist_tasks_added": {"tasks": [{"id": 1, "text": BAD}]}},
    "giveaway": {"giveaway": {"prize_description": BAD}},
    "button": {"text": "see", "reply_markup": {"inline_keyboard": [[{"text": BAD, "url": "https://example.org"}]]}},
    "signature": {"text": "see", "author_signature": BAD},
    "the group's new title": {"new_chat_title": BAD},
    "a field of tomorrow inside a poll": {"poll": {"question": "a", "hint": {"text": BAD}}},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "what it answers": {"text": "no", "reply_to_message": {"message_id": 1, "date": 1, "chat": {"id": 1}, "text": BAD}},
    "what was pinned": {"pinned_message": {"message_id": 1, "date": 1, "chat": {"id": 1}, "text": BAD}},
    "the forwarded author's name": {"text": "see", "forward_origin": {"type": "hidden_user", "sender_user_name": BAD}},
    "an address behind a link": {"text": "see", "entities": [{"type": "text_link", "url": f"https://x/{BAD}"}]},
    "a button's data": {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": BAD}]]}},
    "who left": {"left_chat_member": SOMEBODY},
}


@pytest.mark.parametrize("field", FIELDS)
async def test_it_is_found(field: str, scene: Scene) -> None:
    """Written, and edited into a harmless message: a case each, with the text in it."""
    fields = FIELDS[field]
    await scene.server.says(scene.group, scene.ann, **{"text": "", **fields})
    harmless = await scene.server.says(scene.group, scene.ben, "good morning")
    await scene.settled()
    harmless.data.pop("text", None)
    await scene.server.edits(harmless, **fields)
    cases = await scene.cases()
    assert len(cases) == 2 and all(BAD in case.message.text for case in cases)
    assert {case.author.name for case in cases} == {"Ann", "Ben"}


@pytest.mark.parametrize("field", HARMLESS)
def test_what_somebody_else_wrote_is_not_the_authors(field: str) -> None:
    """It is not read as theirs."""
    message = {"message_id": 1, "date": 1, "chat": {"id": -100, "type": "supergroup"}, **HARMLESS[field]}
    assert BAD not in text_of(message)


async def test_names_topics_and_channel_identities_are_read(scene: Scene) -> None:
    """A member's name, who joins, a channel somebody writes as, a topic's title when made and renamed."""
    await scene.server.says(scene.group, scene.server.add_user("HATE one"), "hello")
    new = scene.server.add_user("HATE two").payload()
    await scene.server.says(scene.group, scene.ann, new_chat_members=[new])
    channel = scene.server.add_group("HATE three")
    await scene.server.says(scene.group, channel, "hello")
    topic = {"message_thread_id": 7, "is_topic_message": True}
    colour = {"icon_color": 1}
    await scene.server.says(scene.group, scene.ben, **topic, forum_topic_created={"name": "HATE four", **colour})
    await scene.server.says(scene.group, scene.ben, **topic, forum_topic_edited={"name": "HATE five"})
    texts = {case.message.text for case in await scene.cases()}
    assert texts == {"HATE one", "HATE two", "HATE three", "HATE four", "HATE five"}
    await scene.server.says(scene.group, scene.server.users[scene.ann.id], "hello again")
    assert len(await scene.cases()) == 5


async def test_a_message_in_a_topic_knows_its_topic(scene: Scene) -> None:
    """The room is the topic's, so a topic can be left alone."""
    topic = {"message_thread_id": 7, "is_topic_message": True}
    await scene.policy(exempt_rooms=frozenset({f"{scene.group.id}/7"}))
    await scene.server.says(scene.group, scene.ann, "HATE in the topic", **topic)
    await scene.server.says(scene.group, scene.ann, "HATE outside")
    assert [case.message.text for case in await scene.cases()] == ["HATE outside"]


async def test_own_messages_are_not_read(scene: Scene) -> None:
    """What the bot quotes is no case, and neither is what moderators say among themselves."""
    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.card()
    await scene.server.says(scene.board, scene.mod, "look at this HATE")
    scene.server.push({"message": scene.server.write(scene.group, scene.server.bot, "HATE quoted").data})
    assert len(await scene.cases()) == 1


def test_edits_within_one_second_are_different_revisions() -> None:
    """The time of an edit has seconds only."""
    message = {"message_id": 1, "date": 100, "chat": {"id": -100, "type": "supergroup"}, "from": SOMEBODY}
    first = event_of({**message, "text": "a"}, "c", frozenset())
    edits = [event_of({**message, "text": text, "edit_date": 100}, "c", frozenset()) for text in "bc"]
    later = event_of({**message, "text": "a", "edit_date": 101}, "c", frozenset())
    revisions = {event.key.revision for event in (first, *edits, later) if event}
    assert len(revisions) == 4 and later and first and later.key.revision > first.key.revision
