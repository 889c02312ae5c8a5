"""Troth: an event-driven loyalty engine. Events in, points out, every point explained."""

__version__ = "0.1.0"
