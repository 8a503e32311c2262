"""Decisions of the orchestrator: events in, commands out; no IO, no clock, no randomness."""
