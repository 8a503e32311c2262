"""Names of log files: which Instance and stream, and back."""

from __future__ import annotations

#: What the stack says itself; no Peer may have this name.
STACK = "stack"
#: All lines of all of them once more, as they come; each with the name of who wrote it.
MERGED = "merged.log"
#: Stream names in file names.
STREAMS = {"stdout": "out", "stderr": "err"}


def file_name(instance: str, stream: str) -> str:
    """Give ``search-0.out.log`` for ``search:0`` and ``stdout``; ``stack.log`` for the stack."""
    if instance == STACK:
        return "stack.log"
    return f"{instance.replace(':', '-')}.{STREAMS[stream]}.log"


def parse_file_name(name: str) -> tuple[str, str] | None:
    """Give (instance, stream) of a current log file, None for everything else."""
    if name == "stack.log":
        return STACK, "stdout"
    for stream, short in STREAMS.items():
        ending = f".{short}.log"
        if name.endswith(ending):
            return name[: -len(ending)].replace("-", ":"), stream
    return None
