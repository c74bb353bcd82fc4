"""A digest is drawn again only when it shows something else."""

from pathlib import Path

from tests.bot.platforms.telegram.conftest import Scene, serving
from tests.simulators.telegram_server import TelegramServer


def edits(server: TelegramServer) -> int:
    return len(server.called("editMessageText"))


async def test_a_restart_does_not_send_what_stands_there_already(tmp_path: Path) -> None:
    """Neither a digest nor a card is edited without a change, so Telegram refuses nothing; a change is sent."""
    async with TelegramServer() as server:
        scene = Scene(server)
        async with serving(scene, tmp_path):
            for number in range(8):
                await server.says(scene.group, scene.ann, f"HATE {number}")
            await server.until(lambda: any("8 messages by one author" in m.text for m in server.by_bot(scene.board)))
            await scene.settled()
        before = edits(server)
        async with serving(scene, tmp_path):
            await server.says(scene.group, scene.ben, "HATE after the restart")
            await server.until(lambda: any("after the restart" in m.text for m in server.by_bot(scene.board)))
            assert edits(server) == before and not [c for c in server.called("editMessageText") if c.status == 400]
            (digest,) = (m for m in server.by_bot(scene.board) if "need a look" in m.text)
            await server.clicks(scene.mod, digest, "Go through them")
            await server.until(
                lambda: server.by_bot(scene.board)[-1].buttons and "HATE 0" in server.by_bot(scene.board)[-1].text
            )
            await server.clicks(scene.mod, server.by_bot(scene.board)[-1], "👍 Correct")
            await server.until(lambda: "hate" in digest.text and edits(server) > before)


async def test_a_digest_of_one_says_so_in_good_english(scene: Scene) -> None:
    """What comes after a burst, when its digest is full or old, begins with one."""
    from bot.cases.card import digest_title

    await scene.server.says(scene.group, scene.ann, "HATE")
    await scene.card()
    assert digest_title([await scene.case()], "en") == "One message by one author needs a look"
