#!/bin/sh
# Moves itself into cgroups, then becomes PROGRAM. usage: join.sh CGROUP_PROCS_FILE... -- PROGRAM ARG...
set -eu
while [ "$1" != -- ]; do
    echo $$ > "$1"
    shift
done
shift
exec "$@"
