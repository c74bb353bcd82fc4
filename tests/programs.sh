#!/usr/bin/env bash
# What the tests need beside Python: a browser, a disk that fails on demand (libfiu), two proxies, and openssl.
# Gets what is missing, or says in one line what to type. The list stands only here; `make test` calls this first.
#
#     tests/programs.sh [PYTHON]        PYTHON has Playwright; .venv/bin/python unless another is named
set -euo pipefail
cd "$(dirname "$0")/.."
python="${1:-.venv/bin/python}"
PATH="$PATH:/usr/sbin" # where Debian puts nginx

has_browser() {
    command -v chromium >/dev/null || command -v chromium-browser >/dev/null ||
        "$python" -c 'import os, sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    sys.exit(not os.path.exists(playwright.chromium.executable_path))' 2>/dev/null
}

missing() { # the Debian packages of the programs that are not there
    has_browser || echo chromium
    for program in fiu-run:fiu-utils nginx:nginx-light caddy:caddy openssl:openssl; do
        command -v "${program%%:*}" >/dev/null || echo "${program##*:}"
    done
}

read -r -d '' -a packages < <(missing) || true
[ "${#packages[@]}" -gt 0 ] || exit 0
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq >/dev/null 2>&1 || true # a list that is too old makes the next line fail
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null 2>&1 || true
elif [[ " ${packages[*]} " == *" chromium "* ]]; then
    "$python" -m playwright install chromium >/dev/null 2>&1 || true
fi
read -r -d '' -a packages < <(missing) || true
[ "${#packages[@]}" -gt 0 ] || exit 0
if command -v apt-get >/dev/null; then
    echo "the tests need more programs; type: sudo apt-get install ${packages[*]}" >&2
else
    echo "the tests need more programs; install what Debian calls ${packages[*]}" >&2
fi
exit 1
