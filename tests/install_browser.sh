#!/bin/sh
# A browser and a Chinese font for the page tests; does nothing where both are found.
set -e
find_browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if find_browser >/dev/null && fc-list :lang=zh 2>/dev/null | grep -q .; then exit 0; fi
if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq chromium fonts-noto-cjk >/dev/null
else
    echo "page tests need chromium and a Chinese font (Debian: apt install chromium fonts-noto-cjk)" >&2
    exit 1
fi
