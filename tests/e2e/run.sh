#!/bin/bash
# `make e2e`: the e2e tests on a new lab, which is removed afterwards; one run at a time per machine.
# The first test brings the lab up and the last one removes it, unless TESTS selects others.
# With LAB_KEEP=1 they use the running lab and keep it. usage: run.sh FOLDER-OF-PROGRAMS [TESTS]
# TESTS: paths, separated by spaces.
set -euo pipefail
programs=$1
tests=${2:-tests/e2e}
lock=/run/lock/datapath-probe-e2e.lock
lab_tests=tests/lab/tests/test_up_and_down.py

lab() { PYTHONPATH=tests "$programs/python" -m lab "$@"; }
# Failed tests are retried once, since the machine may be busy; pytest reports retries.
e2e() { "$programs/pytest" -v -p no:randomly --reruns 1 -r R "$@"; }
with_lab_tests() { e2e "$lab_tests::test_it_comes_up_once" "$tests" "$lab_tests::test_down_leaves_nothing_behind"; }

if ! lab possible; then
    with_lab_tests # every test is skipped, with the reason
elif [ -n "${LAB_KEEP:-}" ]; then
    lab status || lab up
    e2e $tests
else
    export LAB_NAME=e2e
    exec 9>"$lock"
    flock --nonblock 9 || { echo "· waiting for another run of the e2e tests to end" && flock 9; }
    trap 'lab down' EXIT
    if [ "$tests" = tests/e2e ]; then
        LAB_IP=${LAB_IP:-dual} with_lab_tests # paths over both versions of IP
    else
        lab up --fresh
        e2e $tests
    fi
fi
