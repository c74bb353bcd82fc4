"""Both simulated platforms, started by hand: `python -m tests.simulators`.

Prints the command that starts a bot against them. Then each line that is typed, such as `ann: hello`, is said on both
platforms by somebody of that name; what the bot writes and what it removes is printed. It ends with its input.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.simulators.discord_server import DiscordServer
from tests.simulators.telegram_server import TelegramServer

LOOK_EVERY_S = 0.2
CONFIG = """[service]
port = 0
data_folder = "{folder}/data"
key_file = "{folder}/key"

[discord]
api = "{discord.api}"
gateway = "{discord.gateway}"

[telegram]
api = "{telegram.api}"
"""


def show(line: str) -> None:
    """One line for whoever sits there."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Town:
    """A Discord server and a Telegram group, both called Friends, and the people who have spoken there."""

    def __init__(self, discord: DiscordServer, telegram: TelegramServer) -> None:
        self.discord, self.telegram = discord, telegram
        self.guild, self.group = discord.add_guild("Friends"), telegram.add_group("Friends")
        self.lounge = self.guild.add_channel("lounge")
        self._shown: set[str] = set()

    async def says(self, name: str, text: str) -> None:
        """On both platforms; somebody new joins first."""
        member = next((one for one in self.guild.members.values() if one.user.name == name), None)
        user = next((one for one in self.telegram.users.values() if one.first_name == name), None)
        if user is None:
            user = self.telegram.add_user(name)
            self.telegram.join(self.group, user)
        await self.discord.says(self.lounge, member or self.guild.add_member(name), text)
        await self.telegram.says(self.group, user, text)

    async def watch(self) -> None:
        """Shows what the bot did, once each; until cancelled."""
        while True:
            for name, channel in [(one.name, one) for one in self.guild.channels.values()]:
                for message in channel.messages.values():
                    if message in self.discord.bot_messages(channel):
                        self._once(f"Discord #{name}: {message.content or message.embeds}")
                    elif message.deleted:
                        self._once(f"Discord #{name}: removed: {message.content}")
            for chat in self.telegram.chats.values():
                for sent in chat.messages.values():
                    if sent.data["from"]["id"] == self.telegram.bot.id:
                        self._once(f"Telegram {chat.title}: {sent.text}")
                    elif sent.deleted:
                        self._once(f"Telegram {chat.title}: removed: {sent.text}")
            await asyncio.sleep(LOOK_EVERY_S)

    def _once(self, line: str) -> None:
        if line not in self._shown:
            self._shown.add(line)
            show(line)


async def main() -> None:
    """Until there is no more input."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        async with DiscordServer() as discord, TelegramServer() as telegram:
            town = Town(discord, telegram)
            config = Path(folder) / "config.toml"
            config.write_text(CONFIG.format(folder=folder, discord=discord, telegram=telegram), encoding="utf-8")
            tokens = f"DOMOVOI_DISCORD_TOKEN={discord.token} DOMOVOI_TELEGRAM_TOKEN={telegram.token}"
            show(f"start a bot with: {tokens} python -m bot run --config {config}")
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(town.watch())
                while line := (await reader.readline()).decode():
                    name, _, text = line.partition(":")
                    if text.strip():
                        await town.says(name.strip(), text.strip())
                watching.cancel()


if __name__ == "__main__":
    asyncio.run(main())
