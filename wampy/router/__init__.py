"""A Router of our own: Dealer and Broker, pure, and a thin server around them.

``realm`` (the only entrance), ``dealer``, ``broker``, ``meta``, ``authorization``, ``patterns`` and
``sessions`` know no socket and no clock. ``server``, ``connection``, ``listening``, ``poller``,
``websocket`` and ``wire`` carry bytes; ``authentication`` says who joins.
"""
