"""Fixtures of the integration tests."""

from integration.apiserver import apiserver as apiserver
