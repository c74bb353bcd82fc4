"""What happens to a message on Discord: from the first word to the button a moderator presses."""

from tests.bot.discord.conftest import Scene


async def test_in_shadow_mode_a_card_appears_and_the_message_stays(scene: Scene) -> None:
    """The moderators see who wrote what where, and what would have been done."""
    message = await scene.server.says(scene.lounge, scene.ann, "HATE")
    card = await scene.card()
    assert not message.deleted
    print(card.data)
