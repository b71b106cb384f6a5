"""Secrets are compared in constant time, everywhere."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "voicebot"
SECRET = {"token", "secret", "signature", "seal", "password", "cookie", "digest", "hmac", "auth", "mac", "ticket"}
CONSTANT = (ast.Constant, ast.JoinedStr)
SERVICE = sorted(path for path in PACKAGE.rglob("*.py") if "local" not in path.relative_to(PACKAGE).parts)


def words(node):
    """The last name of an expression, in words: `self.leg.token` is {"token"}."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name.isupper():
            return set()  # the name of a parameter, not what is in it
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return set(name.lower().split("_"))
        case ast.Call(func=func):
            return words(func) | (words(func.value) if isinstance(func, ast.Attribute) else set())
        case ast.Subscript(value=value):
            return words(value)
    return set()


def compared(tree):
    """Comparisons with == or != in which a name looks like a secret's and no side is a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
            sides = [node.left, *node.comparators]
            if any(isinstance(side, CONSTANT) for side in sides):
                continue
            if any(words(side) & SECRET or {"api", "key"} <= words(side) for side in sides):
                yield node


@pytest.mark.parametrize("path", SERVICE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_secret_is_compared_letter_by_letter(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [f"line {node.lineno}: {ast.unparse(node)}" for node in compared(tree)]
    assert found == []


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("given.token == self.leg.token", 1),
        ("signature != expected", 1),
        ("token.encode() == other", 1),
        ("secrets['a'] == given", 0),
        ("api.tokens[0].token.get_secret_value() == given", 1),
        ("hmac.compare_digest(token, other)", 0),
        ("token == ''", 0),
        ("name == other", 0),
    ],
)
def test_the_search_finds_what_it_looks_for(line, count):
    assert len(list(compared(ast.parse(line)))) == count


@pytest.mark.parametrize(
    ("module", "word"),
    [
        ("call/route.py", "compare_digest"),
        ("web/api/tokens.py", "compare_digest"),
        ("wire/twilio.py", "RequestValidator"),
    ],
)
def test_where_they_are_compared(module, word):
    assert word in (PACKAGE / module).read_text(encoding="utf-8")
