"""Routes about the bot itself, guilds, members, roles, bans and the audit log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from . import discord_permissions as perms
from .discord_guild import Guild
from .discord_rest import (
    ApiError,
    Call,
    bad_form,
    below,
    check_reason,
    guild_of,
    member_of,
    no_permission,
    route,
    unknown,
)
from .discord_state import KINDS, Json, Member, now

if TYPE_CHECKING:
    from .discord_server import DiscordServer

LONGEST_TIMEOUT = timedelta(days=28)


@route("GET", "/gateway", auth=False)
async def gateway(server: DiscordServer, call: Call) -> Any:
    return {"url": server.gateway}


@route("GET", "/gateway/bot")
async def gateway_bot(server: DiscordServer, call: Call) -> Any:
    limit = {"total": 1000, "remaining": 999, "reset_after": 86_400_000, "max_concurrency": 1}
    return {"url": server.gateway, "shards": server.shards, "session_start_limit": limit}


@route("GET", "/users/@me")
async def me(server: DiscordServer, call: Call) -> Any:
    return server.bot.payload() | {"verified": True, "mfa_enabled": True, "email": None, "locale": "en-US", "flags": 0}


@route("GET", "/users/{user_id}")
async def user(server: DiscordServer, call: Call) -> Any:
    try:
        return server.users[call.ids["user_id"]].payload()
    except KeyError:
        raise unknown(10013, "User") from None


@route("GET", "/users/@me/guilds")
async def my_guilds(server: DiscordServer, call: Call) -> Any:
    return [guild.summary() | {"owner": False, "permissions": "0"} for guild in server.bot_guilds()]


@route("DELETE", "/users/@me/guilds/{guild_id}")
async def leave(server: DiscordServer, call: Call) -> Any:
    guild, _ = guild_of(server, call)
    await server.removes_bot(guild)


async def application(server: DiscordServer, call: Call) -> Any:
    return {
        "id": str(server.application_id),
        "name": server.bot.name,
        "description": "",
        "icon": None,
        "bot_public": True,
        "bot_require_code_grant": False,
        "verify_key": "00",
        "owner": server.developer.payload(),
        "team": None,
        "flags": server.application_flags,
        "approximate_guild_count": len(server.bot_guilds()),
        "bot": server.bot.payload(),
    }


route("GET", "/oauth2/applications/@me")(application)
route("GET", "/applications/@me")(application)


@route("GET", "/guilds/{guild_id}")
async def guild(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call)
    counts = {"approximate_member_count": len(found.members), "approximate_presence_count": 1}
    return found.summary() | (counts if call.params.get("with_counts") else {})


@route("GET", "/guilds/{guild_id}/channels")
async def channels(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call)
    return [channel.payload() for channel in found.channels.values()]


@route("POST", "/guilds/{guild_id}/channels")
async def create_channel(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call, "manage_channels")
    body = call.body()
    kinds = {number: name for name, number in KINDS.items()}
    parent = found.channels.get(int(body.get("parent_id") or 0))
    channel = found.add_channel(body["name"], kinds[body.get("type") or 0], parent=parent)
    for entry in body.get("permission_overwrites") or []:
        allow, deny = int(entry.get("allow") or 0), int(entry.get("deny") or 0)
        channel.overwrites[int(entry["id"])] = (int(entry["type"]), allow, deny)
    channel.topic = body.get("topic")
    channel.changed()
    call.created = True
    return channel.payload()


@route("GET", "/guilds/{guild_id}/threads/active")
async def active_threads(server: DiscordServer, call: Call) -> Any:
    found, bot = guild_of(server, call)
    threads = [t for t in found.threads.values() if not t.archived and found.sees(bot, t)]
    mine = [thread.member_payload(bot.id) for thread in threads if bot.id in thread.member_ids]
    return {"threads": [thread.payload() for thread in threads], "members": mine}


@route("GET", "/guilds/{guild_id}/roles")
async def roles(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call)
    return [role.payload() for role in found.roles]


@route("GET", "/guilds/{guild_id}/roles/{role_id}")
async def role(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call)
    for one in found.roles:
        if one.id == call.ids["role_id"]:
            return one.payload()
    raise unknown(10011, "Role")


@route("GET", "/guilds/{guild_id}/members")
async def members(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call)
    after, limit = int(call.params.get("after", 0)), int(call.params.get("limit", 1))
    ids = [number for number in sorted(found.members) if number > after][:limit]
    return [found.members[number].payload() for number in ids]


@route("GET", "/guilds/{guild_id}/members/{user_id}")
async def member(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call)
    if call.ids["user_id"] not in server.users:
        raise unknown(10013, "User")
    return member_of(found, call.ids["user_id"]).payload()


@route("PATCH", "/guilds/{guild_id}/members/@me")
async def edit_me(server: DiscordServer, call: Call) -> Any:
    _, bot = guild_of(server, call, "change_nickname")
    bot.change(nick=call.body().get("nick") or None)
    return bot.payload()


@route("PATCH", "/guilds/{guild_id}/members/{user_id}")
async def edit_member(server: DiscordServer, call: Call) -> Any:
    found, bot = guild_of(server, call)
    check_reason(call)
    target = member_of(found, call.ids["user_id"])
    fields = changes_to(found, bot, target, call.body())
    changes = [{"key": key, "new_value": value.isoformat() if key.startswith("comm") and value else str(value)}
               for key, value in fields.items() if key != "roles"]  # fmt: skip
    target.change(**fields)
    found.log(25 if "roles" in fields else 24, server.bot, target.id, reason=call.reason, changes=changes)
    return target.payload()


def changes_to(guild: Guild, bot: Member, target: Member, body: Json) -> Json:
    """What a PATCH of a member asks for, if the bot may do it."""
    fields: Json = {}
    if "nick" in body:
        may(bot, "change_nickname" if target is bot else "manage_nicknames")
        if len(body["nick"] or "") > 32:
            raise bad_form("nick", "BASE_TYPE_MAX_LENGTH", "Must be 32 or fewer in length.")
        fields["nick"] = body["nick"] or None
    if "communication_disabled_until" in body:
        may(bot, "moderate_members")
        until = body["communication_disabled_until"]
        fields["communication_disabled_until"] = datetime.fromisoformat(until) if until else None
        if until and fields["communication_disabled_until"] > now() + LONGEST_TIMEOUT:
            message = "The date must be within 28 days from now."
            raise bad_form("communication_disabled_until", "COMMUNICATION_DISABLED_TOO_LONG", message)
        if until and target.permissions() & perms.ADMIN:
            raise no_permission()
    if "roles" in body:
        may(bot, "manage_roles")
        wanted = {int(number) for number in body["roles"]}
        chosen = [role for role in guild.roles[1:] if role.id in wanted]
        for role in set(chosen) ^ set(target.roles):
            if role.position >= bot.rank[1]:
                raise no_permission()
        fields["roles"] = chosen
    if target is not bot and "roles" not in body:
        below(bot, target)
    return fields


def may(bot: Member, permission: str) -> None:
    if not bot.permissions() & perms.BIT[permission]:
        raise no_permission()


async def change_role(server: DiscordServer, call: Call) -> Any:
    found, bot = guild_of(server, call, "manage_roles")
    check_reason(call)
    target = member_of(found, call.ids["user_id"])
    role = next((role for role in found.roles if role.id == call.ids["role_id"]), None)
    if role is None:
        raise unknown(10011, "Role")
    if role.position >= bot.rank[1] or role.bot_id is not None:
        raise no_permission()
    others = [one for one in target.roles if one is not role]
    target.change(roles=[*others, role] if call.method == "PUT" else others)
    found.log(25, server.bot, target.id, reason=call.reason)


route("PUT", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}")(change_role)
route("DELETE", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}")(change_role)


@route("DELETE", "/guilds/{guild_id}/members/{user_id}")
async def kick(server: DiscordServer, call: Call) -> Any:
    found, bot = guild_of(server, call, "kick_members")
    check_reason(call)
    target = member_of(found, call.ids["user_id"])
    below(bot, target)
    found.remove_member(target)
    found.log(20, server.bot, target.id, reason=call.reason)


@route("GET", "/guilds/{guild_id}/bans")
async def bans(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call, "ban_members")
    after, limit = int(call.params.get("after", 0)), int(call.params.get("limit", 1000))
    ids = [number for number in sorted(found.bans) if number > after][:limit]
    return [{"user": found.bans[number][0].payload(), "reason": found.bans[number][1]} for number in ids]


@route("GET", "/guilds/{guild_id}/bans/{user_id}")
async def ban_entry(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call, "ban_members")
    try:
        banned, reason = found.bans[call.ids["user_id"]]
    except KeyError:
        raise unknown(10026, "Ban") from None
    return {"user": banned.payload(), "reason": reason}


@route("PUT", "/guilds/{guild_id}/bans/{user_id}")
async def ban(server: DiscordServer, call: Call) -> Any:
    found, bot = guild_of(server, call, "ban_members")
    check_reason(call)
    target = server.users.get(call.ids["user_id"])
    if target is None:
        raise unknown(10013, "User")
    if target.id in found.members:
        below(bot, found.members[target.id])
    seconds = int(call.params.get("delete_message_seconds", call.body().get("delete_message_seconds") or 0))
    if not 0 <= seconds <= 604_800:
        message = "int value should be between 0 and 604800."
        raise bad_form("delete_message_seconds", "NUMBER_TYPE_MAX", message)
    if target.id not in found.bans:
        found.ban(target, call.reason)
        found.log(22, server.bot, target.id, reason=call.reason)
    if seconds:
        server.erase_recent(found, target, seconds)


@route("POST", "/guilds/{guild_id}/bulk-ban")
async def bulk_ban(server: DiscordServer, call: Call) -> Any:
    found, bot = guild_of(server, call, "ban_members", "manage_guild")
    check_reason(call)
    ids = [int(number) for number in call.body()["user_ids"]]
    banned = []
    for target in [server.users[number] for number in ids if number in server.users and number not in found.bans]:
        if target.id not in found.members or found.members[target.id].rank < bot.rank:
            found.ban(target, call.reason)
            found.log(22, server.bot, target.id, reason=call.reason)
            banned.append(str(target.id))
    if not banned:
        raise ApiError(400, 500000, "Failed to ban users")
    return {"banned_users": banned, "failed_users": [str(number) for number in ids if str(number) not in banned]}


@route("DELETE", "/guilds/{guild_id}/bans/{user_id}")
async def unban(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call, "ban_members")
    check_reason(call)
    if call.ids["user_id"] not in found.bans:
        raise unknown(10026, "Ban")
    found.unban(found.bans[call.ids["user_id"]][0])
    found.log(23, server.bot, call.ids["user_id"], reason=call.reason)


@route("GET", "/guilds/{guild_id}/audit-logs")
async def audit_log(server: DiscordServer, call: Call) -> Any:
    found, _ = guild_of(server, call, "view_audit_log")
    limit = int(call.params.get("limit", 50))
    if not 1 <= limit <= 100:
        raise bad_form("limit", "NUMBER_TYPE_MAX", "int value should be between 1 and 100.")
    entries = [
        entry
        for entry in found.audit
        if call.params.get("user_id") in (None, entry["user_id"])
        and call.params.get("action_type") in (None, str(entry["action_type"]))
        and int(entry["id"]) < int(call.params.get("before", 1 << 63))
        and int(entry["id"]) > int(call.params.get("after", 0))
    ]
    entries = entries[:limit] if "after" in call.params else entries[::-1][:limit]
    ids = {entry[key] for entry in entries for key in ("user_id", "target_id") if entry[key]}
    people = [server.users[int(number)].payload() for number in sorted(ids) if int(number) in server.users]
    lists = ("application_commands", "auto_moderation_rules", "guild_scheduled_events", "integrations", "threads")
    return {"audit_log_entries": entries, "users": people, "webhooks": []} | {name: [] for name in lists}
