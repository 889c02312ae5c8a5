"""Doors: each turns a foreign format into raw events and asks the pipeline; none decides anything."""
