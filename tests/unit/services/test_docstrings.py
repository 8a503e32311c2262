"""Docstrings are read from sources, of any kind, and nothing is run."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from services.docstrings import (
    MAX_TITLE_LENGTH,
    Docstring,
    Source,
    UnreadableSource,
    library_sources,
    read_docstrings,
)


@pytest.fixture
def read(tmp_path):
    """Read a module ``m`` with this content."""

    def read(content: str | bytes) -> list[Docstring]:
        path = tmp_path / "m.py"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_docstrings(Source("m", path))

    return read


def test_module_classes_methods_and_functions(read):
    assert read(
        '''
        """Module."""
        class A(B, metaclass=C):
            """Class.

            More
                of it.
            """
            def method(self, x: int = 3, *args, y, **kwargs) -> str:
                """Method."""
            class Inner:
                "Inner."
        async def function():
            """Coroutine."""
        '''.replace("\n        ", "\n")
    ) == [
        Docstring("m", "m", "Module."),
        Docstring("m.A", "class m.A(B, metaclass=C)", "Class.\n\nMore\n    of it."),
        Docstring("m.A.method", "m.A.method(self, x: int=3, *args, y, **kwargs) -> str", "Method."),
        Docstring("m.A.Inner", "class m.A.Inner", "Inner."),
        Docstring("m.function", "async def m.function()", "Coroutine."),
    ]


def test_what_has_no_docstring_is_left_out_but_not_what_is_in_it(read):
    found = read("class A:\n  def f(self): 'F.'\n  def g(self): pass\n  def h(self): b'no'\n")
    assert [docstring.name for docstring in found] == ["m.A.f"]
    assert read("") == []
    assert read("''\ndef f():\n  '   '\n") == []


def test_definitions_below_if_try_with_for_and_match_count(read):
    found = read(
        "if x:\n  def a(): 'A'\nelse:\n  def b(): 'B'\n"
        "try:\n  def c(): 'C'\nexcept E:\n  def d(): 'D'\nfinally:\n  def e(): 'E'\n"
        "with x:\n  def f(): 'F'\nfor x in y:\n  def g(): 'G'\n"
        "match x:\n  case 1:\n    def h(): 'H'\n"
    )
    assert [docstring.text for docstring in found] == list("ABCDEFGH")


def test_definitions_in_functions_do_not_count(read):
    assert read("def f():\n  def g():\n    'G'\n  class H:\n    'H'\n") == []


def test_first_of_several_counts(read):
    (found,) = read(
        "class A:\n  @property\n  def x(self): 'get'\n  @x.setter\n  def x(self, v): 'set'\n"
    )
    assert found == Docstring("m.A.x", "m.A.x(self)", "get")


def test_coding_line_and_byte_order_mark_are_heeded(read):
    (latin,) = read("# coding: latin-1\n'''é'''".encode("latin-1"))
    assert latin.text == "é"
    (marked,) = read(b"\xef\xbb\xbf'''x'''")
    assert marked.text == "x"


def test_half_surrogates_become_escapes(read):
    (found,) = read('"a \\ud800 b"')
    assert found.text == "a \\ud800 b"


def test_long_title_is_cut(read):
    (found,) = read(f"def f({', '.join(f'argument{n}' for n in range(50))}):\n  'F'")
    assert len(found.title) == MAX_TITLE_LENGTH
    assert found.title.endswith("…")


def test_nothing_is_run_or_imported(read, tmp_path):
    trace = tmp_path / "trace"
    (found,) = read(f"'''M'''\nopen({str(trace)!r}, 'w')\nimport no_such_module\nraise SystemExit")
    assert found.text == "M"
    assert not trace.exists()


def test_warnings_of_the_source_are_kept_to_it(read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read("'''M'''\nx = '\\d'\n1 is 1\n")[0].text == "M"


@pytest.mark.parametrize(
    "content",
    [
        b"print 'python 2'",
        b"def f(:",
        b"x = '\0'",
        b"# coding: no-such-coding\nx",
        b"'''\xff'''",
        b"  indented",
        b"(" * 5000,
        b"x = " + b"-" * 50000 + b"1",
    ],
)
def test_broken_file_is_unreadable(read, content):
    with pytest.raises(UnreadableSource, match="Error: "):
        read(content)


def test_missing_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableSource, match="FileNotFoundError"):
        read_docstrings(Source("m", tmp_path / "m.py"))


def library(folder: Path) -> None:
    for path in ("a.py", "p/__init__.py", "p/m.py", "p/q/__init__.py", "site-packages/x.py"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    (folder / "p/data.txt").touch()


def test_library_is_what_python_says_it_is(tmp_path):
    library(tmp_path)
    found = library_sources(tmp_path, ["p", "a", "sys", "no_such"])
    assert found == [
        Source("a", tmp_path / "a.py"),
        Source("p", tmp_path / "p/__init__.py"),
        Source("p.m", tmp_path / "p/m.py"),
        Source("p.q", tmp_path / "p/q/__init__.py"),
    ]


def test_library_without_sources_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sources of the standard library"):
        library_sources(tmp_path)


def test_running_library_is_there_whole():
    modules = {source.module for source in library_sources()}
    assert {"contextlib", "json", "json.decoder", "asyncio.events", "os", "this"} <= modules
    assert not any(module.startswith(("site-packages", "test.")) for module in modules)
    assert {m.partition(".")[0] for m in modules} <= sys.stdlib_module_names


def test_running_library_is_read_without_importing():
    (source,) = [source for source in library_sources() if source.module == "antigravity"]
    read_docstrings(source)
    (source,) = [source for source in library_sources() if source.module == "contextlib"]
    texts = {docstring.name: docstring for docstring in read_docstrings(source)}
    assert texts["contextlib.contextmanager"].title == "contextlib.contextmanager(func)"
    assert "with" in texts["contextlib.contextmanager"].text
    assert "antigravity" not in sys.modules
