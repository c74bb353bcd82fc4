"""Which providers are set up."""

from collections.abc import Sequence

from bot.config import BadConfig, Config
from bot.console.origin_guard import LOCAL
from bot.console.provider import Provider


def sign_in_providers(config: Config) -> Sequence[Provider]:
    """Returns the providers. Raises `BadConfig` where the page is open to others and no provider is set up."""
    console, host = config.console, config.service.host
    ways: Sequence[Provider] = ()
    if any((console.discord_client_id, console.discord_secret, console.telegram_client_id, console.telegram_secret)):
        from bot.console.providers import providers  # with a library that takes a moment

        ways = providers(config)
    if host not in LOCAL and not ways:
        raise BadConfig(
            f'host = "{host}" under [service] opens the page to others, and nobody could sign in: set up a sign-in '
            f'under [console] (docs/operations.md), or take host = "127.0.0.1" and put a proxy before it'
        )
    return ways
