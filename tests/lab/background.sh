#!/bin/sh
# Starts a program in the background, inside a node; its pid in the node's pid namespace is written to PIDFILE.
# usage: background.sh PIDFILE LOG PROGRAM ARG...
set -eu
pidfile=$1 log=$2
shift 2
setsid sh -c 'echo $$ > "$0.new"; mv "$0.new" "$0"; exec "$@"' "$pidfile" "$@" </dev/null >>"$log" 2>&1 &
