"""Every module says what it is for, in one sentence, and stays small."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "voicebot").rglob("*.py"))
CODE = sorted(path for folder in ("voicebot", "tools", "bench") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
TEXTS = sorted(
    path
    for pattern in ("*.md", "Dockerfile", "Makefile", ".ci/*", "docs/**/*.md", "twiml/*")
    for path in ROOT.glob(pattern)
)
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
# The brackets keep this file from finding itself.
MARKERS = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X]|HAC[K])\b")
MACHINE_PATHS = re.compile(r"(?<![\w.~-])/(?:wor[k]|roo[t]|hom[e]|User[s])/\w")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_docstring_is_one_sentence(path):
    docstring = ast.get_docstring(tree(path))
    assert docstring, "no docstring"
    assert docstring.endswith((".", "?"))
    assert "\n\n" not in docstring
    assert not re.search(r"[.!?]\s+[A-Z`]", docstring), docstring


@pytest.mark.parametrize("path", CODE + TESTS, ids=name)
def test_file_is_small(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


@pytest.mark.parametrize("path", CODE, ids=name)
def test_functions_are_short(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name}: {lines} lines"


@pytest.mark.parametrize("path", CODE + TESTS + TEXTS, ids=name)
def test_nothing_is_left_for_later(path):
    assert MARKERS.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", CODE + TESTS + TEXTS, ids=name)
def test_no_path_of_one_machine(path):
    assert MACHINE_PATHS.findall(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_skipped_tests_say_why(path):
    for node in ast.walk(tree(path)):
        match node:
            case ast.Call(func=ast.Attribute(attr="skip" | "skipif" | "xfail" as kind), args=args, keywords=keywords):
                given = {keyword.arg for keyword in keywords}
                told = "reason" in given or (kind == "skip" and args)
                assert told, f"line {node.lineno}: {kind} without a reason"
            case ast.FunctionDef(decorator_list=marks) | ast.AsyncFunctionDef(decorator_list=marks):
                bare = [mark for mark in marks if isinstance(mark, ast.Attribute) and mark.attr in {"skip", "xfail"}]
                assert not bare, f"{node.name}: {bare[0].attr} without a reason"
