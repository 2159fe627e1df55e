#!/bin/sh
# The test of databases starts a PostgreSQL of its own. Install Debian's where that needs no question (root, Debian);
# where it cannot be had, the test skips and says so.
command -v initdb >/dev/null && exit 0
for bin in /usr/lib/postgresql/*/bin; do [ -x "$bin/initdb" ] && exit 0; done
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
echo 'Installing PostgreSQL for the test of databases'
{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql; } </dev/null >/dev/null 2>&1 ||
    echo 'PostgreSQL could not be installed: its test will skip'
