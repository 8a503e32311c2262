"""WAMP without IO: states, request ids, answers matched to requests; bytes of RawSocket."""
