#!/usr/bin/env bash
# Runs a test under a fault. Usage: under_fault.sh FAULT PROGRAM ARGUMENT...
fault=$1
shift
# Faults make everything slow; the watchdog is for what hangs.
NEARCALL_FAULT=$fault NEARCALL_WATCHDOG_SECONDS=${NEARCALL_WATCHDOG_SECONDS:-120} exec "$@"
