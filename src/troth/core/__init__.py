"""Decisions. Pure: no input or output, no clock, no randomness, no logging; imports nothing of ours but `limits`."""
