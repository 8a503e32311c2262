"""Write the reference of all public names into a folder, from their docstrings: ``make docs``."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from pathlib import Path

import pdoc

#: What users write against; the rest of the packages is for who reads the source.
MODULES = (
    "wampy",
    "wampy.aio",
    "wampy.auth",
    "wampy.entrypoints",
    "wampy.errors",
    "wampy.options",
    "wampy.session",
    "wampy.session.meta",
    "wampy.testing",
    "wampy.testing.pytest_plugin",
    "wampy.testing.routers",
    "orchestrator",
)


def write(folder: Path) -> None:
    """Write a page for each module.

    Raises:
        UserWarning: a public name is not there, or a docstring cannot be read.
    """
    warnings.simplefilter("error")
    # Fields of a TypedDict, which it inherits, are none of its class.
    warnings.filterwarnings("ignore", message="Cannot determine where wampy[.]options[.]")
    for name in MODULES:
        module = importlib.import_module(name)
        # Names that are imported when they are asked for are not seen before that.
        for public in getattr(module, "__all__", ()):
            setattr(module, public, getattr(module, public))
    pdoc.render.configure(docformat="google", footer_text="wampy")
    # A package's name stands for all below it; those are taken away again, the parents come first.
    specs = [spec for name in MODULES for spec in (name, f"!{re.escape(name)}[.]")]
    pdoc.pdoc(*specs, output_directory=folder)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
