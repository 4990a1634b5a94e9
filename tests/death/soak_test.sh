#!/usr/bin/env bash
# The soak, for a few seconds; longer by hand.
exec tests/death/soak --seconds=10
