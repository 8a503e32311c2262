"""The control socket: HTTP on a unix socket, with an XML-RPC face for supervisorctl and a JSON one.

``server`` serves on the supervisor's loop, ``http`` is one connection, ``v1`` and ``rpc`` are the
faces, ``client`` is what the commands use.
"""
