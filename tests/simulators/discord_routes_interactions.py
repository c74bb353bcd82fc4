"""Routes about application commands, interaction callbacks, followups and webhooks."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from .discord_channels import Message
from .discord_interactions import APPLICATION_COMMAND, COMPONENT, MODAL_SUBMIT, Interaction
from .discord_rest import (
    ApiError,
    Call,
    bad_form,
    channel_of,
    check_components,
    check_message,
    mentions_allowed,
    message_fields,
    numbered,
    route,
    unknown,
)
from .discord_routes_messages import apply_edit
from .discord_state import EPHEMERAL, LOADING, Json, Webhook

if TYPE_CHECKING:
    from .discord_server import DiscordServer

COMMAND_NAME = re.compile(r"[-_'\w]{1,32}")
GLOBAL = "/applications/{app_id}/commands"
LOCAL = "/applications/{app_id}/guilds/{guild_id}/commands"
HOOK = "/webhooks/{hook_id}/{token}"


def scope(server: DiscordServer, call: Call) -> dict[int, Json]:
    """The commands the request is about: the guild's or the global ones."""
    if call.ids["app_id"] != server.application_id:
        raise ApiError(403, 20012, "You are not authorized to perform this action on this application")
    guild_id = call.ids.get("guild_id")
    if guild_id is not None and (guild_id not in server.guilds or server.guilds[guild_id].bot_member is None):
        raise ApiError(403, 50001, "Missing Access")
    return server.commands.setdefault(guild_id, {})


def command_from(server: DiscordServer, form: Json, guild_id: int | None, id: int | None) -> Json:
    """A stored command from the form that registers it."""
    type = form.get("type", 1)
    if type == 1:
        check_options(form, "")
        if not COMMAND_NAME.fullmatch(form["name"]) or form["name"] != form["name"].lower():
            raise bad_form("name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    elif not 1 <= len(form["name"]) <= 32:
        raise bad_form("name", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 32 in length.")
    defaults: Json = {
        "application_id": str(server.application_id),
        "version": str(server.snowflake()),
        "default_member_permissions": None,
        "description": "",
        "nsfw": False,
        "type": 1,
    }
    if guild_id is not None:
        defaults["guild_id"] = str(guild_id)
    return defaults | form | {"id": str(id or server.snowflake())}


def check_options(form: Json, where: str) -> None:
    """Names, descriptions and numbers of options, at every level."""
    if not 1 <= len(form.get("description") or "") <= 100:
        raise bad_form(f"{where}description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    options = form.get("options") or []
    if len(options) > 25:
        raise bad_form(f"{where}options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    for index, option in enumerate(options):
        if not COMMAND_NAME.fullmatch(option["name"]):
            raise bad_form(f"{where}options.{index}.name", "APPLICATION_COMMAND_INVALID_NAME", "Name is invalid")
        check_options(option, f"{where}options.{index}.")


async def list_commands(server: DiscordServer, call: Call) -> Any:
    return list(scope(server, call).values())


async def replace_commands(server: DiscordServer, call: Call) -> Any:
    old = scope(server, call)
    guild_id = call.ids.get("guild_id")
    forms = call.json or []
    keys = [(form.get("type", 1), form["name"]) for form in forms]
    if len(set(keys)) != len(keys):
        raise bad_form("name", "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
    ids = {(command["type"], command["name"]): int(command["id"]) for command in old.values()}
    new = [command_from(server, form, guild_id, ids.get(key)) for form, key in zip(forms, keys, strict=True)]
    server.commands[guild_id] = {int(command["id"]): command for command in new}
    return new


async def create_command(server: DiscordServer, call: Call) -> Any:
    commands = scope(server, call)
    form = call.body()
    same = [c for c in commands.values() if (c["type"], c["name"]) == (form.get("type", 1), form["name"])]
    command = command_from(server, form, call.ids.get("guild_id"), int(same[0]["id"]) if same else None)
    commands[int(command["id"])] = command
    call.created = not same
    return command


async def one_command(server: DiscordServer, call: Call) -> Any:
    commands = scope(server, call)
    command = commands.get(call.ids["command_id"])
    if command is None:
        raise unknown(10063, "application command")
    if call.method == "DELETE":
        del commands[call.ids["command_id"]]
        return None
    if call.method == "PATCH":
        command |= call.body()
    return command


for _path in (GLOBAL, LOCAL):
    route("GET", _path)(list_commands)
    route("PUT", _path)(replace_commands)
    route("POST", _path)(create_command)
    for _method in ("GET", "PATCH", "DELETE"):
        route(_method, _path + "/{command_id}")(one_command)


# callbacks


def answer_with(server: DiscordServer, one: Interaction, body: Json, call: Call, *, followup: bool) -> Message:
    """A message that answers an interaction: public ones go to the channel, ephemeral ones only to the user."""
    check_message(body, call)
    fields = message_fields(server, body, call)
    fields |= {
        "webhook_id": str(server.application_id),
        "application_id": str(server.application_id),
        "interaction_metadata": one.metadata(),
    }
    reply_to = one.original if followup else one.source if one.type == COMPONENT else None
    if one.type == APPLICATION_COMMAND and not followup:
        fields["type"] = 20 if one.data["type"] == 1 else 23
    elif reply_to is not None:
        fields |= {"type": 19, "message_reference": server.reference(reply_to)}
    message = server.write(one.channel, server.bot, body.get("content") or "", **fields)
    mentions_allowed(message.data, body.get("allowed_mentions"))
    message.interaction = one
    server.publish(message)
    return message


def placeholder(server: DiscordServer, one: Interaction, flags: int) -> Message:
    """The "is thinking" message of a deferred answer."""
    fields: Json = {
        "webhook_id": str(server.application_id),
        "application_id": str(server.application_id),
        "interaction_metadata": one.metadata(),
        "flags": flags & EPHEMERAL | LOADING,
        "type": 20 if one.type == APPLICATION_COMMAND else 19 if one.source else 0,
    }
    if fields["type"] == 19 and one.source is not None:
        fields["message_reference"] = server.reference(one.source)
    message = server.write(one.channel, server.bot, "", **fields)
    message.interaction = one
    server.publish(message)
    return message


KINDS = {4: "message", 5: "deferred", 6: "update", 7: "update", 8: "autocomplete", 9: "modal"}


@route("POST", "/interactions/{interaction_id}/{token}/callback", auth=False)
async def callback(server: DiscordServer, call: Call) -> Any:
    one = server.interactions.by_id.get(call.ids["interaction_id"])
    if one is None or one.token != call.token or one.age_s() > server.callback_deadline_s:
        raise unknown(10062, "interaction")
    if one.answer.kind != "none":
        raise ApiError(400, 40060, "Interaction has already been acknowledged.")
    type, body = call.body()["type"], call.body().get("data") or {}
    if type not in KINDS:
        raise bad_form("type", "BASE_TYPE_CHOICES", "Value must be one of {4, 5, 6, 7, 8, 9, 10, 12}.")
    if (
        (type in (6, 7) and one.source is None)
        or (type == 9 and one.type == MODAL_SUBMIT)
        or (type == 8) != (one.type == 4)
    ):
        raise bad_form("type", "INTERACTION_RESPONSE_TYPE", f"Type {type} does not answer this interaction")
    answer = one.answer
    if type == 4:
        one.original = answer.message = answer_with(server, one, body, call, followup=False)
    elif type == 5:
        one.original = answer.message = placeholder(server, one, body.get("flags") or 0)
        one.loading = True
    elif type in (6, 7):
        one.original = answer.message = one.source
        if type == 6:
            server.interactions.waiting.append(one)
        if type == 7 and one.source is not None:
            check_message(body, call, new=False)
            apply_edit(server, one.source, body, call)
    elif type == 8:
        answer.choices = body.get("choices") or []
        if len(answer.choices) > 25:
            raise bad_form("data.choices", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
    else:
        answer.modal = check_modal(body)
    answer.kind = KINDS[type]
    answer.answered_after_s = one.age_s()
    if type not in (5, 6):
        one.finish()
    if call.params.get("with_response") not in ("1", "true", "True"):
        return None
    return callback_response(one, type)


def check_modal(body: Json) -> Json:
    """A modal as the user gets it."""
    if not 1 <= len(body.get("title") or "") <= 45:
        raise bad_form("data.title", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 45 in length.")
    if not 1 <= len(body["components"]) <= 5:
        raise bad_form("data.components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
    check_components(body["components"])
    return body | {"components": numbered(body["components"])}


def callback_response(one: Interaction, type: int) -> Json:
    """What `with_response` asks for."""
    shown: Json = {"id": str(one.id), "type": one.type}
    resource: Json = {"type": type}
    if type in (4, 5, 6, 7) and one.original is not None:
        shown |= {
            "response_message_id": str(one.original.id),
            "response_message_loading": one.loading,
            "response_message_ephemeral": one.original.ephemeral,
        }
        resource |= {"message": one.original.data} if type in (4, 7) else {}
    return {"interaction": shown, "resource": resource}


def interaction_of(server: DiscordServer, call: Call) -> Interaction:
    """The interaction whose token stands in the path, for what comes after the callback."""
    one = server.interactions.by_token.get(call.token)
    if one is None or call.ids["hook_id"] != server.application_id:
        raise unknown(10015, "Webhook")
    if one.age_s() > server.token_lifetime_s:
        raise ApiError(401, 50027, "Invalid Webhook Token")
    if one.answer.kind == "none":
        raise unknown(10015, "Webhook")
    return one


def own_message(server: DiscordServer, call: Call) -> tuple[Interaction, Message]:
    """The original answer, or a followup by its id."""
    one = interaction_of(server, call)
    if call.path.endswith("@original"):
        message = one.original
    else:
        number = call.ids["message_id"]
        there = [*one.answer.followups, *([one.original] if one.original else [])]
        message = next((message for message in there if message.id == number), None)
    if message is None or message.deleted:
        raise unknown(10008, "Message")
    return one, message


@route("POST", HOOK, auth=False)
async def followup(server: DiscordServer, call: Call) -> Any:
    if call.ids["hook_id"] in server.webhooks:
        return execute(server, call)
    one = interaction_of(server, call)
    body = call.body()
    if one.loading and one.original is not None and not one.original.deleted:
        # The first followup of a deferred answer fills the waiting message.
        check_message(body, call)
        fill(server, one, one.original, body, call)
        message = one.original
    else:
        message = answer_with(server, one, body, call, followup=True)
    one.answer.followups.append(message)
    one.finish()
    return message.data


def fill(server: DiscordServer, one: Interaction, message: Message, body: Json, call: Call) -> None:
    """Edit an answer; a waiting one stops waiting."""
    if one.loading and message is one.original:
        one.loading = False
        message.data["flags"] &= ~LOADING
        body = body | {"flags": message.data["flags"] | (body.get("flags") or 0) & ~EPHEMERAL}
    apply_edit(server, message, body, call)


async def get_answer(server: DiscordServer, call: Call) -> Any:
    return own_message(server, call)[1].data


async def edit_answer(server: DiscordServer, call: Call) -> Any:
    one, message = own_message(server, call)
    body = call.body()
    check_message(body, call, new=False)
    fill(server, one, message, body, call)
    one.finish()
    return message.data


async def delete_answer(server: DiscordServer, call: Call) -> Any:
    one, message = own_message(server, call)
    server.erase([message])
    one.loading = False
    one.finish()


for _tail in ("/messages/@original", "/messages/{message_id}"):
    route("GET", HOOK + _tail, auth=False)(get_answer)
    route("PATCH", HOOK + _tail, auth=False)(edit_answer)
    route("DELETE", HOOK + _tail, auth=False)(delete_answer)


# incoming webhooks


def execute(server: DiscordServer, call: Call) -> Any:
    """Somebody posts through a webhook."""
    hook = server.webhooks[call.ids["hook_id"]]
    if hook.token != call.token:
        raise ApiError(401, 50027, "Invalid Webhook Token")
    body = call.body()
    check_message(body, call)
    fields = message_fields(server, body, call)
    if body.get("username"):
        fields["username"] = body["username"]
    message = server.write(hook.channel, hook, body.get("content") or "", **fields)
    server.publish(message)
    return message.data if call.params.get("wait") in ("1", "true") else None


@route("POST", "/channels/{channel_id}/webhooks")
async def create_webhook(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "manage_webhooks")
    hook = Webhook(server.snowflake(), channel, call.body()["name"], secrets.token_urlsafe(48))
    server.webhooks[hook.id] = hook
    return hook.payload()


@route("GET", "/channels/{channel_id}/webhooks")
async def channel_webhooks(server: DiscordServer, call: Call) -> Any:
    channel = channel_of(server, call, "manage_webhooks")
    return [hook.payload() for hook in server.webhooks.values() if hook.channel is channel]


@route("GET", "/webhooks/{hook_id}")
async def get_webhook(server: DiscordServer, call: Call) -> Any:
    hook = server.webhooks.get(call.ids["hook_id"])
    if hook is None:
        raise unknown(10015, "Webhook")
    return hook.payload()
