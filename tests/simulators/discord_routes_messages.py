"""Routes about messages, channels, threads and direct messages."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from . import discord_permissions as perms
from .discord_channels import DM, Channel, Message, Thread
from .discord_rest import (
    ApiError,
    Call,
    bad_form,
    channel_of,
    check_message,
    check_reason,
    mentions_allowed,
    message_fields,
    message_of,
    no_access,
    no_permission,
    route,
    unknown,
    waken,
)
from .discord_state import EPHEMERAL, HAS_THREAD, KINDS, Json, at_of, now

if TYPE_CHECKING:
    from .discord_server import DiscordServer

ONE = "/channels/{channel_id}/messages/{message_id}"
FORTNIGHT = timedelta(days=14)
UNDELETABLE = {1, 2, 3, 4, 5, 14, 15, 16, 17, 21}


@route("GET", "/channels/{channel_id}")
async def get_channel(server: DiscordServer, call: Call) -> Any:
    return channel_of(server, call).payload()


@route("PATCH", "/channels/{channel_id}")
async def edit_channel(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    check_reason(call)
    body = call.body()
    if isinstance(channel, Thread):
        if channel.owner_id != server.bot.id and not channel.bot_permissions() & perms.BIT["manage_threads"]:
            raise no_permission()
    else:
        channel_of(server, call, "manage_channels")
    names = {"name": "name", "topic": "topic", "nsfw": "nsfw", "rate_limit_per_user": "slowmode_s"}
    if isinstance(channel, Thread):
        names |= {"archived": "archived", "locked": "locked"}
    channel.change(**{names[key]: value for key, value in body.items() if key in names})
    return channel.payload()


@route("DELETE", "/channels/{channel_id}")
async def delete_channel(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    check_reason(call)
    if isinstance(channel, DM):
        return channel.payload()
    channel_of(server, call, "manage_threads" if channel.is_thread else "manage_channels")
    channel.remove()
    return channel.payload()


@route("PUT", "/channels/{channel_id}/permissions/{target_id}")
async def set_overwrite(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "manage_roles")
    body = call.body()
    entry = (int(body["type"]), int(body.get("allow") or 0), int(body.get("deny") or 0))
    channel.overwrites[call.ids["target_id"]] = entry
    channel.changed()


@route("DELETE", "/channels/{channel_id}/permissions/{target_id}")
async def clear_overwrite(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "manage_roles")
    channel.overwrites.pop(call.ids["target_id"], None)
    channel.changed()


@route("POST", "/channels/{channel_id}/typing")
async def typing(server: DiscordServer, call: Call) -> Any:
    channel_of(server, call, "send_messages")


@route("GET", "/channels/{channel_id}/messages")
async def history(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    if not channel.speakable:
        raise ApiError(400, 50008, "Cannot send messages in a non-text channel")
    limit = int(call.params.get("limit", 50))
    if not 1 <= limit <= 100:
        raise bad_form("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
    allowed = channel.bot_permissions()
    if channel.kind in (KINDS["voice"], KINDS["stage"]) and not allowed & perms.BIT["connect"]:
        raise no_access()
    if not allowed & perms.BIT["read_message_history"]:
        return []
    ids = sorted(channel.messages)
    if "around" in call.params:
        middle = int(call.params["around"])
        older = [number for number in ids if number < middle][-(limit // 2) :]
        newer = [number for number in ids if number >= middle][: limit - len(older)]
        ids = older + newer
    elif "after" in call.params:
        ids = [number for number in ids if number > int(call.params["after"])][:limit]
    else:
        if "before" in call.params:
            ids = [number for number in ids if number < int(call.params["before"])]
        ids = ids[-limit:]
    return [server.shown(channel.messages[number]) for number in reversed(ids)]


@route("GET", ONE)
async def get_message(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "read_message_history")
    return server.shown(message_of(channel, call.ids["message_id"]))


def needed_to_speak(channel: Channel, body: Json, call: Call) -> None:
    """The permissions that this message needs here."""
    if channel.guild is None:
        return
    allowed = channel.bot_permissions()
    needs = ["send_messages_in_threads" if channel.is_thread else "send_messages"]
    needs += ["embed_links"] if body.get("embeds") else []
    needs += ["attach_files"] if call.files else []
    needs += ["send_polls"] if body.get("poll") else []
    if not all(allowed & perms.BIT[need] for need in needs):
        raise no_permission()


def post(server: DiscordServer, channel: Channel, body: Json, call: Call, *, id: int | None = None) -> Message:
    """The bot says something."""
    fields = message_fields(server, body, call)
    if "flags" in fields:
        fields["flags"] &= ~EPHEMERAL  # only interactions can whisper
    reference = body.get("message_reference")
    if reference:
        target = channel.messages.get(int(reference["message_id"]))
        if target is None and reference.get("fail_if_not_exists", True):
            raise bad_form("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
        if not channel.bot_permissions() & perms.BIT["read_message_history"]:
            raise ApiError(403, 160002, "Cannot reply without permission to read message history")
        if target is not None:
            fields |= {"type": 19, "message_reference": server.reference(target), "referenced_message": target.data}
    message = server.write(channel, server.bot, body.get("content") or "", id=id, **fields)
    mentions_allowed(message.data, body.get("allowed_mentions"))
    replied = (body.get("allowed_mentions") or {}).get("replied_user")
    if "referenced_message" in fields and replied:
        message.data["mentions"].append(fields["referenced_message"]["author"])
    waken(channel)
    server.publish(message)
    return message


@route("POST", "/channels/{channel_id}/messages")
async def send(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    body = call.body()
    if not channel.speakable:
        raise ApiError(400, 50008, "Cannot send messages in a non-text channel")
    needed_to_speak(channel, body, call)
    check_message(body, call)
    if isinstance(channel, DM) and (channel.user.dms_closed or channel.user.bot or not server.knows(channel.user)):
        raise ApiError(403, 50007, "Cannot send messages to this user")
    nonce = body.get("nonce")
    if nonce is not None:
        if len(str(nonce)) > 25:
            raise bad_form("nonce", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        if body.get("enforce_nonce") and (channel.id, str(nonce)) in server.nonces:
            return server.nonces[channel.id, str(nonce)].data
    message = post(server, channel, body, call)
    if nonce is not None:
        server.nonces[channel.id, str(nonce)] = message
    return message.data


@route("PATCH", ONE)
async def edit_message(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    message = message_of(channel, call.ids["message_id"])
    body = call.body()
    if message.author is not server.bot:
        if set(body) == {"flags"} and channel.bot_permissions() & perms.BIT["manage_messages"]:
            server.update(message, edited=False, flags=body["flags"])
            return message.data
        raise ApiError(403, 50005, "Cannot edit a message authored by another user")
    check_message(body, call, new=False)
    apply_edit(server, message, body, call)
    return message.data


def apply_edit(server: DiscordServer, message: Message, body: Json, call: Call) -> None:
    """Change a message of the bot as a form says, and tell."""
    fields = message_fields(server, body, call)
    if "content" in body:
        fields["content"] = body["content"] or ""
    if "flags" in fields:
        fields["flags"] |= message.flags & (EPHEMERAL | HAS_THREAD)
    left = message.data | fields
    if not any(left.get(key) for key in ("content", "embeds", "components", "attachments", "poll", "sticker_items")):
        raise ApiError(400, 50006, "Cannot send an empty message")
    server.update(message, **fields)


@route("DELETE", ONE)
async def delete_message(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    check_reason(call)
    message = message_of(channel, call.ids["message_id"])
    if message.author is not server.bot:
        if channel.guild is None:
            raise ApiError(403, 50003, "Cannot execute action on a DM channel")
        channel_of(server, call, "manage_messages")
    if message.data["type"] in UNDELETABLE:
        raise ApiError(403, 50021, "Cannot execute action on a system message")
    server.erase([message])
    if channel.guild is not None and message.author is not server.bot:
        options = {"channel_id": str(channel.id), "count": "1"}
        channel.guild.log(72, server.bot, message.author.id, reason=call.reason, options=options)


@route("POST", "/channels/{channel_id}/messages/bulk-delete")
async def bulk_delete(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call)
    check_reason(call)
    if channel.guild is None:
        raise ApiError(403, 50003, "Cannot execute action on a DM channel")
    channel_of(server, call, "manage_messages")
    ids = [int(number) for number in call.body().get("messages", [])]
    if not 2 <= len(ids) <= 100:
        message = "Provided too few or too many messages to delete. Must provide between 2 and 100"
        raise ApiError(400, 50016, message)
    if any(now() - at_of(number) > FORTNIGHT for number in ids):
        raise ApiError(400, 50034, "You can only bulk delete messages that are under 14 days old.")
    found = [channel.messages[number] for number in dict.fromkeys(ids) if number in channel.messages]
    server.erase(found, bulk=True)
    options = {"count": str(len(found))}
    channel.guild.log(73, server.bot, channel.id, reason=call.reason, options=options)


@route("PUT", ONE + "/reactions/{emoji}/@me")
async def react(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "read_message_history", "add_reactions")
    message_of(channel, call.ids["message_id"])


@route("DELETE", ONE + "/reactions/{emoji}/@me")
async def unreact(server: DiscordServer, call: Call) -> Any:
    message_of(channel_of(server, call), call.ids["message_id"])


@route("POST", ONE + "/threads")
async def thread_from_message(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "create_public_threads")
    message = message_of(channel, call.ids["message_id"])
    if message.id in server.channels:
        raise ApiError(400, 160004, "A thread has already been created for this message")
    call.created = True
    return channel.add_thread(call.body()["name"], server.bot, message=message).payload()


@route("POST", "/channels/{channel_id}/threads")
async def new_thread(server: DiscordServer, call: Call) -> Any:
    body = call.body()
    channel = channel_of(server, call)
    call.created = True
    if channel.kind == KINDS["forum"]:
        channel_of(server, call, "send_messages")
        check_message(body.get("message") or {}, call)
        thread = channel.add_thread(body["name"], server.bot)
        thread.applied_tags = body.get("applied_tags") or []
        message = post(server, thread, body["message"], call, id=thread.id)
        return thread.payload() | {"message": message.data}
    private = body.get("type") == 12
    channel_of(server, call, "create_private_threads" if private else "create_public_threads")
    return channel.add_thread(body["name"], server.bot, private=private).payload()


@route("PUT", "/channels/{channel_id}/thread-members/@me")
async def join_thread(server: DiscordServer, call: Call) -> Any:
    thread = channel_of(server, call)
    if not isinstance(thread, Thread):
        raise unknown(10003, "Channel")
    thread.member_ids.add(server.bot.id)


@route("GET", "/channels/{channel_id}/thread-members/{user_id}")
async def thread_member(server: DiscordServer, call: Call) -> Any:
    thread = channel_of(server, call)
    if not isinstance(thread, Thread) or call.ids["user_id"] not in thread.member_ids:
        raise unknown(10007, "Member")
    return thread.member_payload(call.ids["user_id"])


@route("DELETE", "/channels/{channel_id}/thread-members/@me")
async def leave_thread(server: DiscordServer, call: Call) -> Any:
    thread = channel_of(server, call)
    if isinstance(thread, Thread):
        thread.member_ids.discard(server.bot.id)


@route("GET", "/channels/{channel_id}/threads/archived/{what}")
async def archived_threads(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "read_message_history")
    assert channel.guild is not None
    private = call.path.endswith("private")
    if private:
        channel_of(server, call, "manage_threads")
    threads = [
        thread
        for thread in channel.guild.threads.values()
        if thread.parent is channel and thread.archived and (thread.kind == 12) == private
    ]
    threads.sort(key=lambda thread: thread.archived_at, reverse=True)
    if "before" in call.params:
        before = call.params["before"].replace("Z", "+00:00").replace(" ", "+")
        threads = [thread for thread in threads if thread.archived_at.isoformat() < before]
    limit = int(call.params.get("limit", 50))
    shown = [thread.payload() for thread in threads[:limit]]
    return {"threads": shown, "members": [], "has_more": len(threads) > limit}


@route("POST", "/users/@me/channels")
async def open_dm(server: DiscordServer, call: Call) -> Any:
    user = server.users.get(int(call.body()["recipient_id"]))
    if user is None:
        raise unknown(10013, "User")
    if user is server.bot:
        raise ApiError(400, 50007, "Cannot send messages to this user")
    return server.dm(user).payload()
