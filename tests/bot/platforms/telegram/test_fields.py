"""Wherever somebody can write something on Telegram, it is read: one toxic text in every field, new and edited."""

import html
from typing import Any

import pytest

from bot.pipeline.question_lane import Asker
from bot.platforms.telegram.authored_text import QUIET, words_of
from bot.platforms.telegram.events import event_of, other_events
from tests.bot.platforms.telegram.conftest import Scene

BAD = "HATE in here"
FORWARD = {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "somebody"}}
SOMEBODY = {"id": 9, "is_bot": False, "first_name": "X"}
RUDE = {"id": 8, "is_bot": False, "first_name": BAD}
CLUB = {"id": -5, "type": "channel", "title": BAD}
SAID = {"message_id": 1, "date": 1, "chat": {"id": -100, "type": "supergroup"}}


def bold(text: str) -> dict[str, str]:
    return {"type": "bold", "text": text}


FIELDS: dict[str, dict[str, Any]] = {
    "text": {"text": BAD},
    "caption": {"photo": [{"file_id": "a", "file_unique_id": "a", "width": 1, "height": 1}], "caption": BAD},
    "forwarded text": {"text": BAD, **FORWARD},
    "forwarded caption": {"caption": BAD, **FORWARD},
    "a quote from another chat": {
        "text": "see",
        "quote": {"text": BAD, "position": 0, "is_manual": True},
        "external_reply": {"origin": FORWARD["forward_origin"], "chat": {"id": -5, "type": "channel", "title": "X"}},
    },
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
    "a field of tomorrow inside a poll": {"poll": {"question": "a", "hint": {"text": BAD}}},
    "a message of tomorrow": {"hologram": {"frames": [{"says": BAD}]}},
    "an address behind a link": {"text": "see", "entities": [{"type": "text_link", "url": f"https://x.org/{BAD}"}]},
    "a sticker set's name": {"sticker": {"file_id": "a", "emoji": "x", "set_name": BAD}},
    "a sender's tag": {"text": "see", "sender_tag": BAD},
    "a formatted paragraph": {
        "rich_message": {"blocks": [{"type": "paragraph", "text": ["", bold("HATE"), " in here"]}]}
    },
    "a formatted list": {
        "rich_message": {"blocks": [{"type": "list", "items": [{"blocks": [{"type": "paragraph", "text": BAD}]}]}]}
    },
    "a table's cell": {"rich_message": {"blocks": [{"type": "table", "cells": [[{"text": "a"}, {"text": [BAD]}]]}]}},
    "details": {"rich_message": {"blocks": [{"type": "details", "summary": BAD, "blocks": [], "is_open": False}]}},
}
HARMLESS: dict[str, dict[str, Any]] = {
    "what it answers": {"text": "no", "reply_to_message": {"message_id": 1, "date": 1, "chat": {"id": 1}, "text": BAD}},
    "what was pinned": {"pinned_message": {"message_id": 1, "date": 1, "chat": {"id": 1}, "text": BAD}},
    "the forwarded author's name": {"text": "see", "forward_origin": {"type": "hidden_user", "sender_user_name": BAD}},
    "a button's data": {"text": "x", "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": BAD}]]}},
    "who left": {"left_chat_member": SOMEBODY},
    "who ticked a task": {
        "checklist": {
            "title": "a",
            "tasks": [{"id": 1, "text": "b", "completed_by_user": RUDE, "completed_by_chat": CLUB}],
        }
    },
    "who added an option": {
        "poll": {"question": "a", "options": [{"text": "b", "added_by_chat": CLUB | {"id": -100}}]}
    },
    "an option another added": {
        "from": SOMEBODY,
        "poll": {"question": "a", "options": [{"text": BAD, "added_by_user": RUDE}]},
    },
    "the poll an option was added to": {
        "poll_option_added": {"option_text": "b", "poll_message": SAID | {"poll": {"question": BAD, "options": []}}}
    },
    "an option somebody took away": {
        "poll_option_deleted": {"option_text": BAD, "poll_message": SAID | {"poll": {"question": "a", "options": []}}}
    },
    "the list tasks were added to": {
        "checklist_tasks_added": {"tasks": [], "checklist_message": SAID | {"checklist": {"title": BAD, "tasks": []}}}
    },
    "tasks of a list to which all may add": {
        "checklist": {"title": "a", "others_can_add_tasks": True, "tasks": [{"id": 1, "text": BAD}]}
    },
    "who won": {"giveaway_winners": {"chat": CLUB, "winners": [RUDE], "winner_count": 1}},
    "a quote from this chat": {"text": "that is not nice", "quote": {"text": BAD}, "reply_to_message": SAID},
    "a quote from another topic": {
        "text": "no",
        "quote": {"text": BAD},
        "external_reply": {
            "chat": {"id": -100, "type": "supergroup", "title": "x"},
            "origin": FORWARD["forward_origin"],
        },
    },
    "a forward's channel": {"text": "see", "forward_origin": {"type": "channel", "chat": CLUB}},
    "a story's channel": {"story": {"id": 1, "chat": CLUB}},
    "somebody mentioned": {"text": "see", "entities": [{"type": "text_mention", "user": RUDE}]},
}
QUOTED = (
    "a quote from this chat",
    "a quote from another topic",
    "tasks of a list to which all may add",
    "a forward's channel",
    "a story's channel",
)
"""Those of them that the author shows: others' words, of which moderators may know."""


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
    """It is not read as theirs; what they show is read as another's."""
    message = {"message_id": 1, "date": 1, "chat": {"id": -100, "type": "supergroup"}, **HARMLESS[field]}
    own, shown = words_of(message)
    assert BAD not in own and (BAD in shown) == (field in QUOTED)


@pytest.mark.parametrize("field", QUOTED)
async def test_what_the_author_shows_alerts_at_most(field: str, scene: Scene) -> None:
    """Moderators see it on a card; nobody is punished for it, and no word on it teaches."""
    await scene.enforce()
    fields = {"text": "", **HARMLESS[field]}
    if "external_reply" in fields:
        here = {"id": scene.group.id, "type": "supergroup", "title": "Friends"}
        fields["external_reply"] = fields["external_reply"] | {"chat": here}
    message = await scene.server.says(scene.group, scene.ann, **fields)
    case = await scene.case()
    assert case.decision.band == "alert" and "quoted" in case.decision.flags
    assert BAD in case.message.quoted and BAD not in case.message.text and not message.deleted
    assert f"> {BAD}" in html.unescape((await scene.card()).text)
    outcome = await scene.telegram.case_service.confirm(case, "telegram:1")
    assert outcome.teaches is False
    assert (await scene.telegram.case_service.explain_case(case, Asker("", "somebody"))).words


@pytest.mark.parametrize("field", sorted(HARMLESS.keys() - set(QUOTED)))
async def test_what_others_did_is_no_offence_of_the_author(field: str, scene: Scene) -> None:
    """No case is about the author; the name of whoever did something to the message is their own."""
    await scene.server.says(scene.group, scene.ann, **{"text": "", **HARMLESS[field]})
    assert {case.author.id for case in await scene.cases()} <= {"8"}


async def test_ticking_a_task_changes_no_word(scene: Scene) -> None:
    """Nor does a vote, nor a bold word: the text comes out the same."""
    task = {"id": 1, "text": "sweep"}
    ticked = task | {"completed_by_user": RUDE, "completion_date": 5}
    poll = {"question": "q", "options": [{"text": "a", "voter_count": 0}], "total_voter_count": 0}
    voted = {"question": "q", "options": [{"text": "a", "voter_count": 3}], "total_voter_count": 3}
    pairs = [
        ({"checklist": {"title": "a", "tasks": [task]}}, {"checklist": {"title": "a", "tasks": [ticked]}}),
        ({"poll": poll}, {"poll": voted, "is_closed": True}),
        ({"text": "a b"}, {"text": "a b", "entities": [{"type": "bold", "offset": 0, "length": 1}]}),
        ({"caption": "a", "photo": [{"file_id": "1"}]}, {"caption": "a", "photo": [{"file_id": "2"}]}),
    ]
    for before, after in pairs:
        assert words_of(before) == words_of(after)


async def test_a_harmless_option_in_a_rude_poll_is_no_offence(scene: Scene) -> None:
    """Whoever added it wrote only the option."""
    await scene.enforce()
    poll = await scene.server.says(scene.group, scene.ann, poll={"id": "1", "question": BAD, "options": []})
    added = {"option_text": "maybe", "option_persistent_id": "1", "poll_message": poll.data}
    await scene.server.says(scene.group, scene.ben, poll_option_added=added)
    assert [case.author.name for case in await scene.cases()] == ["Ann"]


async def test_a_formatted_message_forwarded_reported_and_explained(scene: Scene) -> None:
    """It has no `text`, and is read all the same: as one running text, wherever words are bold."""
    rich = {"blocks": [{"type": "paragraph", "text": ["you are ", bold("good"), " people"]}]}
    toxic = {"blocks": [{"type": "paragraph", "text": ["you are HA", bold("TE"), " people"]}]}
    harmless = await scene.server.says(scene.group, scene.ann, rich_message=rich)
    await scene.server.says(scene.group, scene.ben, rich_message=toxic, **FORWARD)
    await scene.settled()
    await scene.server.says(scene.group, scene.ben, "/report", reply_to=harmless)
    cases = await scene.cases()
    assert [case.message.text for case in cases] == ["you are HATE people", "you are good people"]
    private = scene.server.private(scene.mod)
    await scene.server.tells(scene.mod, "", rich_message=toxic, **FORWARD)
    await scene.server.until(lambda: any("hate" in one.text for one in scene.server.by_bot(private)))


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
    await scene.server.says(scene.group, scene.ann, **topic, forum_topic_edited={"name": "HATE five"})
    await scene.server.says(scene.group, scene.mod, new_chat_title="HATE six")
    cases = await scene.cases()
    texts = {case.message.text for case in cases}
    assert texts == {"HATE one", "HATE two", "HATE three", "HATE four", "HATE five", "HATE six"}
    assert next(case.author.name for case in cases if case.message.text == "HATE six") == "Mo"
    await scene.server.says(scene.group, scene.server.users[scene.ann.id], "hello again")
    assert len(await scene.cases()) == 6


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


@pytest.mark.parametrize("odd", [None, True, 3, "x", [], {}, [None], [{}], {"id": 1}, [["x"]]], ids=repr)
def test_a_field_of_an_odd_shape_breaks_nothing(odd: Any) -> None:
    """Whatever stands where, the rest of the message is read."""
    said = {"message_id": 1, "date": 1, "chat": {"id": -100, "type": "supergroup"}, "from": SOMEBODY}
    for field in sorted(QUIET - said.keys() - {"text", "sender_chat", "edit_date", "is_topic_message"}):
        message = said | {"text": BAD, field: odd}
        event = event_of(message, "c", frozenset())
        assert event is not None and BAD in event.text, field
        assert other_events(message, "c", frozenset()), field


def test_edits_within_one_second_are_different_revisions() -> None:
    """The time of an edit has seconds only."""
    message = {"message_id": 1, "date": 100, "chat": {"id": -100, "type": "supergroup"}, "from": SOMEBODY}
    first = event_of({**message, "text": "a"}, "c", frozenset())
    edits = [event_of({**message, "text": text, "edit_date": 100}, "c", frozenset()) for text in "bc"]
    later = event_of({**message, "text": "a", "edit_date": 101}, "c", frozenset())
    revisions = {event.key.revision for event in (first, *edits, later) if event}
    assert len(revisions) == 4 and later and first and later.key.revision > first.key.revision
