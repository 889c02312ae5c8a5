"""Processes beside the one that serves: one that runs jobs, and those that record an import's events with it."""
