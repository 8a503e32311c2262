"""Logs: ``writer`` (a process of its own), ``sink`` (the supervisor's side), ``reader``.

In ``<run_dir>/logs`` there is one file an Instance and stream, ``search-0.out.log`` and
``search-0.err.log``, and ``stack.log`` for what the stack says itself; each rotated, the newest
without a number. A line is ``2026-01-31T12:00:00.123456Z text``, or one JSON object.
"""
