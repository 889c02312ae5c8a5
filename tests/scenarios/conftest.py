"""Scenarios ask for the clock and the logs of the pipeline's tests."""

from tests.pipeline.conftest import logged

__all__ = ["logged"]
