"""Who and what there is on the simulated Telegram."""

import time
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
PERMISSIONS = (
    "can_send_messages",
    "can_send_audios",
    "can_send_documents",
    "can_send_photos",
    "can_send_videos",
    "can_send_video_notes",
    "can_send_voice_notes",
    "can_send_polls",
    "can_send_other_messages",
    "can_add_web_page_previews",
    "can_react_to_messages",
    "can_edit_tag",
    "can_change_info",
    "can_invite_users",
    "can_pin_messages",
    "can_manage_topics",
)
"""What a member may do."""
RIGHTS = (
    "can_be_edited",
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
"""What an administrator may do."""


@dataclass(eq=False)
class User:
    """An account; `started` is whether it ever wrote to the bot, without which the bot cannot write to it."""

    id: int
    first_name: str
    username: str = ""
    is_bot: bool = False
    language: str = "en"
    started: bool = False

    def payload(self) -> Json:
        """As in an update."""
        found: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.username:
            found["username"] = self.username
        return found | {"language_code": self.language}


@dataclass(eq=False)
class Member:
    """Somebody in a group."""

    user: User
    status: str = "member"  # creator administrator member restricted left kicked
    anonymous: bool = False
    until: int = 0
    """When a restriction or ban ends; 0 is never."""
    rights: dict[str, bool] = field(default_factory=dict)
    is_here: bool = True
    """Of a restricted member: whether they are in the group."""

    def restrict(self, status: str, until: int = 0, **rights: bool) -> None:
        """Somebody restricts or bans them. An end that is very near or far away is none."""
        if self.status in ("left", "kicked"):
            self.is_here = False
        elif self.status != "restricted":
            self.is_here = True
        self.status, self.rights = status, rights
        self.until = until if 30 <= until - time.time() <= 366 * 86400 else 0

    def free(self) -> None:
        """Nothing restricts them any more."""
        here = self.status == "member" or (self.status == "restricted" and self.is_here)
        self.status, self.until, self.rights = "member" if here else "left", 0, {}

    def payload(self) -> Json:
        """As ChatMember, after what has ended by now is over."""
        if self.status in ("restricted", "kicked") and 0 < self.until <= time.time():
            self.free()
        found: Json = {"user": self.user.payload(), "status": self.status}
        if self.status == "creator":
            return found | {"is_anonymous": self.anonymous}
        if self.status == "administrator":
            rights = dict.fromkeys(RIGHTS, False) | self.rights
            return found | {"is_anonymous": self.anonymous, **rights}
        if self.status == "restricted":
            rights = dict.fromkeys(PERMISSIONS, False) | self.rights
            return found | {"is_member": self.is_here, "until_date": self.until, **rights}
        if self.status == "kicked":
            return found | {"until_date": self.until}
        return found


@dataclass(eq=False)
class Message:
    """A message in a chat, as Telegram would send it."""

    data: Json
    deleted: bool = False

    @property
    def id(self) -> int:
        """Its number in its chat."""
        return int(self.data["message_id"])

    @property
    def text(self) -> str:
        """What it says."""
        return str(self.data.get("text") or self.data.get("caption") or "")

    @property
    def buttons(self) -> list[Json]:
        """All its inline buttons."""
        rows = (self.data.get("reply_markup") or {}).get("inline_keyboard", [])
        return [button for row in rows for button in row]


@dataclass(eq=False)
class Chat:
    """A group, a supergroup or a private chat."""

    id: int
    type: str
    title: str = ""
    is_forum: bool = False
    members: dict[int, Member] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    banned_chats: set[int] = field(default_factory=set)
    topics: dict[int, str] = field(default_factory=dict)
    linked_chat_id: int = 0
    """The channel it is the discussion group of."""
    migrated_to: int = 0
    numbers: int = 0

    def payload(self) -> Json:
        """As in an update."""
        if self.type == "private":
            user = next(iter(self.members.values())).user
            return {"id": self.id, "type": "private", "first_name": user.first_name}
        return {"id": self.id, "type": self.type, "title": self.title, **({"is_forum": True} if self.is_forum else {})}
