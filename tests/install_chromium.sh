#!/bin/sh
# The browser tests drive the system's Chromium. Install it where that needs no question (root, Debian);
# where it cannot be had, those tests skip and say so.
for name in chromium chromium-browser google-chrome; do
    command -v "$name" >/dev/null && exit 0
done
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
echo 'Installing Chromium for the browser tests'
{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } </dev/null >/dev/null 2>&1 ||
    echo 'Chromium could not be installed: the browser tests will skip'
