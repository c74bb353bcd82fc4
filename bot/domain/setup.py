"""A community's own choices beside its policy: where cards go, who moderates, in which language."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.text.language import Language


class Setup(BaseModel):
    """Kept as JSON. Ids are the platform's own, as text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    language: Language = "en"
    alert_room: str = ""
    """The room for cards; "" shows them on the page only."""
    moderator_roles: frozenset[str] = frozenset()
    """Roles whose members moderate, beside members whose rights say so."""
    warn: Literal["dm", "place"] = "dm"
    """Where an author is warned: in private, or in the room of the message."""
    learns: bool = False
    """Whether corrections may teach here, where the operator has recorded a permission for that."""
    done: bool = False
    """Whether the set-up was saved; until then the defaults hold."""

    def shows_cards_in(self, room: str) -> bool:
        """Whether a room is the one for cards, or a thread in it. Moderators quote there what they talk about, so it is
        not read."""
        return bool(self.alert_room) and self.alert_room in room.split("/")
