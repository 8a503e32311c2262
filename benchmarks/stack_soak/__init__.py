"""A stack under load in which everything fails that can: what is measured, and what may be lost.

``stack`` is the stack, ``load`` who calls it, ``faults`` what is done to it; ``__main__`` does it
for some minutes, looks for what has leaked, and writes ``docs/failures.md``.
"""
