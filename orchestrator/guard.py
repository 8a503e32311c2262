"""The guard above the supervisor: whatever happens to that, nothing of the stack outlives it.

``kill -9`` of the supervisor would leave the Instances' own children, those in sessions of their
own and stopped ones included. The guard is a subreaper: when the supervisor has ended they fall to
it, and it kills them. It imports next to nothing and does nothing else: no reason to fail.
"""

from __future__ import annotations

import os
import signal
import sys

from orchestrator.processes import become_subreaper, kill_all_children

#: Signals that ask for an orderly end.
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main() -> int:
    """Start the supervisor below this process and wait for its end; returns its exit code."""
    # Whoever starts the stack may have signals blocked or its children reaped by the kernel, and
    # both are inherited: a Router that takes no SIGTERM could not be stopped, no exit be seen.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    become_subreaper()
    # The supervisor sees the end of this pipe when the guard has gone, and ends everything itself.
    reads, writes = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        os.close(writes)
        from orchestrator.entry import run

        os._exit(run(sys.argv[1:], guard_fd=reads))
    os.close(reads)
    for fd in (int(argument) for argument in sys.argv[2:3]):
        os.close(fd)  # the supervisor's status pipe: its end must be seen when that ends
    for signum in _PASSED_ON:
        signal.signal(signum, lambda number, frame: os.kill(supervisor, signal.SIGTERM))
    code = 0
    while True:
        # Seen before it is reaped: after that the pid may be somebody else's.
        ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        assert ended is not None  # only WNOHANG gives None
        if ended.si_pid == supervisor:
            for signum in _PASSED_ON:
                signal.signal(signum, signal.SIG_IGN)
        pid, status = os.waitpid(ended.si_pid, 0)
        if pid == supervisor:
            code = os.waitstatus_to_exitcode(status)
            break
    kill_all_children()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
