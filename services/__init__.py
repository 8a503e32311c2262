"""Peers ready to use, which are also the examples: one class a file.

===========  =====================================================  ==============================
Peer         what it offers                                         what it is made of
===========  =====================================================  ==============================
`Clock`      the time, and a tick each second                       -
`Store`      documents by key, kept in SQLite                       `documents`, `database`
`Search`     full-text search over Store's documents                `fulltext`, `following`
`Loader`     a job: Python's own docstrings into Store              `docstrings`
===========  =====================================================  ==============================

The Peers hold what concerns WAMP: URIs, arguments, errors, events. What they do is in modules that
know no Router, so that it can be read, tested and used without one.
"""
