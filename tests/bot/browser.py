"""A page in Chromium that fails a test on any script error, line on the console or breach of the content policy."""

import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
});
"""


@contextlib.asynccontextmanager
async def opened(address: str, expected: str = "") -> AsyncIterator[Page]:
    """The page at an address; at the end nothing may have gone wrong in it but what contains the expected words."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(f"{line.type}: {line.text}"))
        await page.add_init_script(WATCH_POLICY)
        await page.goto(address)
        yield page
        await browser.close()
        unexpected = [one for one in problems if not expected or expected not in one]
        assert not unexpected, unexpected
        assert not expected or problems
