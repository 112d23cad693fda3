"""Tests of the lab itself: `make test-lab`."""
