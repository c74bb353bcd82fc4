"""Text that members typed, laid out so that it does nothing: no mention, no link, no broken code block.

`discord.utils.escape_markdown` does not suffice: in `[ ||x|| [click](http://evil)` the masked link survives it. Inside
a code block nothing is interpreted, so long as the text cannot end the block.
"""

from bot.text.inert import one_line, plain
from bot.text.language import Language, say

LONGEST_BLOCK, LONGEST_MESSAGE = 3500, 2000
"""An embed's description holds 4,096 characters, a message 2,000."""
_FENCE, _HARMLESS = "`", "ˋ"


def block(text: str, language: Language, limit: int = LONGEST_BLOCK) -> str:
    """Returns a code block with at most `limit` characters of the text; a sentence where the text is no longer kept."""
    if not text:
        return f"*{say(language, 'text-forgotten')}*"
    shown = plain(text, limit).replace(_FENCE, _HARMLESS).strip("\n")  # an empty block would take in what follows it
    return f"```\n{shown or ' '}\n```"


def inline(text: str, limit: int = 80) -> str:
    """Inline code of one line."""
    return f"`{one_line(text, limit).replace(_FENCE, _HARMLESS) or ' '}`"


def fitting(lines: str) -> str:
    """Returns as many whole lines as one message holds: a cut within a line could end the markup that keeps a member's
    text inert."""
    if len(lines) <= LONGEST_MESSAGE:
        return lines
    end = lines.rfind("\n", 0, LONGEST_MESSAGE + 1)
    return lines[:end] if end > 0 else lines[:LONGEST_MESSAGE].replace(_FENCE, _HARMLESS)
