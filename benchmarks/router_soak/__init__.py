"""The built-in Router at full load, with clients that come, go, hang and send garbage.

``load`` is who behaves, and looks at every answer; ``mischief`` is who does not; ``__main__``
starts the Router and both, takes samples, and judges.
"""
