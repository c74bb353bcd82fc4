"""Permission bits and the rules that combine them (https://discord.com/developers/docs/topics/permissions)."""

from __future__ import annotations

from collections.abc import Iterable

IN_ORDER = """
    create_instant_invite kick_members ban_members administrator manage_channels manage_guild add_reactions
    view_audit_log priority_speaker stream view_channel send_messages send_tts_messages manage_messages embed_links
    attach_files read_message_history mention_everyone use_external_emojis view_guild_insights connect speak
    mute_members deafen_members move_members use_vad change_nickname manage_nicknames manage_roles manage_webhooks
    manage_guild_expressions use_application_commands request_to_speak manage_events manage_threads
    create_public_threads create_private_threads use_external_stickers send_messages_in_threads
    use_embedded_activities moderate_members view_creator_monetization_analytics use_soundboard
    create_guild_expressions create_events use_external_sounds send_voice_messages unused_47
    set_voice_channel_status send_polls use_external_apps pin_messages bypass_slowmode
"""
BIT = {name: 1 << at for at, name in enumerate(IN_ORDER.split()) if not name.startswith("unused")}
ALL = sum(BIT.values())
BIT["read_messages"] = BIT["view_channel"]  # the client library's name for it

Given = int | str | Iterable[str]
"""What helpers accept as permissions: a number, names in one string, or several names."""


def bits(of: Given) -> int:
    """Permissions as a number. An unknown name is a KeyError."""
    if isinstance(of, int):
        return of
    total = 0
    for name in of.split() if isinstance(of, str) else of:
        total |= BIT[name]
    return total


VIEW = BIT["view_channel"]
ADMIN = BIT["administrator"]
TIMED_OUT_MAY = VIEW | BIT["read_message_history"]
NEEDS_SEND = bits("mention_everyone send_tts_messages attach_files embed_links")
GUILD_WIDE = bits("""
    kick_members ban_members administrator manage_guild view_audit_log view_guild_insights change_nickname
    manage_nicknames manage_guild_expressions create_guild_expressions moderate_members
    view_creator_monetization_analytics
""")
"""Survive in a channel one cannot see, because they are not about channels."""

EVERYONE = bits("""
    create_instant_invite add_reactions stream view_channel send_messages embed_links attach_files
    read_message_history mention_everyone use_external_emojis connect speak use_vad change_nickname
    use_application_commands request_to_speak create_public_threads create_private_threads use_external_stickers
    send_messages_in_threads use_embedded_activities use_soundboard send_polls send_voice_messages
""")
"""What @everyone may do in a new guild."""

BOT = bits("""
    view_channel send_messages send_messages_in_threads embed_links attach_files read_message_history
    manage_messages moderate_members kick_members ban_members manage_nicknames view_audit_log manage_threads
""")
"""What the simulated guilds give a moderation bot unless told otherwise."""
