"""Where the programs are that the tests run; `tests/programs.sh` gets them."""

import shutil

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
"""A browser of the system; None stands for Playwright's own."""
