"""Faults log a lot: what is logged is gathered, as in the pipeline's tests."""

from tests.pipeline.conftest import logged

__all__ = ["logged"]
