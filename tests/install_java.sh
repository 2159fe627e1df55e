#!/bin/sh
# The test of Spark starts a master and a worker of its own, which need a Java runtime of version 17 or newer. Install Debian's
# where that needs no question (root, Debian); where it cannot be had, the test skips and says so.
command -v java >/dev/null && exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
echo 'Installing a Java runtime for the test of Spark'
{ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends default-jre-headless; } </dev/null >/dev/null 2>&1 ||
    echo 'Java could not be installed: the test of Spark will skip'
