"""Write docs/settings.md from the settings that the service knows."""

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import groupby, pairwise
from pathlib import Path

from pydantic_core import to_jsonable_python

from voicebot.config import ALIASES, CONFIG_VARIABLE, DEFAULT_FILE, NESTED, PREFIX, Settings, variables

TARGET = Path(__file__).parent.parent / "docs" / "settings.md"

INTRODUCTION = f"""# Settings

Written by `make docs` from the code; do not edit.

Each setting is an environment variable, or a key in a TOML file: `{DEFAULT_FILE}` in the working directory, or the file that
`{CONFIG_VARIABLE}` names. The environment wins. `{NESTED}` in a variable is a dot in the file: `VOICEBOT_STORE__URL` is `url` in
`[store]`. Lists and tables are written as JSON in the environment. A name that is not in this list is an error, and
`voicebot check` names every mistake at once.

A time ends in `_s` (seconds) or `_ms` (milliseconds).
"""

NUMBERS = """
`VOICEBOT_DEFAULT__…` says how a call is handled; a number may differ from it in the file:

```toml
[numbers."+15550100".stt]
language_hints = ["de", "en"]
```
"""

type Row = tuple[str, str, object]


def flat(rows: Iterator[Row]) -> Iterator[Row]:
    """Give each field of a setting that is a dataclass its own row, as it has its own variable."""
    for variable, meaning, default in rows:
        if is_dataclass(default):
            told = meanings(type(default))
            yield from flat(
                (variable + NESTED + each.name.upper(), told.get(each.name, ""), getattr(default, each.name))
                for each in fields(default)
            )
        else:
            yield variable, meaning, default


def meanings(kind: type) -> dict[str, str]:
    """Return what stands below each field in the source of a dataclass; pydantic does the same for its models."""
    definition = ast.parse(inspect.getsource(kind)).body[0]
    found: dict[str, str] = {}
    if isinstance(definition, ast.ClassDef):
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(meaning))):
                    found[name] = meaning
                case _:
                    pass
    return found


def section(variable: str) -> str:
    """Return the first branch of a variable, empty for one without a branch."""
    head, nested, _ = variable.removeprefix(PREFIX).partition(NESTED)
    return head.lower() if nested or head == "NUMBERS" else ""


def shown(default: object) -> str:
    """Return a default as one would write it in the environment."""
    value = to_jsonable_python(default)
    if value in ("", None):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}`"


def cell(text: str) -> str:
    """Return text fit for one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def document() -> str:
    """Return the whole page."""
    parts = [INTRODUCTION]
    for name, rows in groupby(flat(variables()), key=lambda row: section(row[0])):
        parts.append(f"\n## {name or 'The service'}\n")
        if name:
            field = Settings.model_fields[name]
            about = field.description or getattr(field.annotation, "__doc__", "") or ""
            parts.append(f"\n{cell(about)}\n")
        parts.append("\n| variable | default | meaning |\n|---|---|---|\n")
        parts += [f"| `{variable}` | {shown(default)} | {cell(meaning)} |\n" for variable, meaning, default in rows]
    parts.append(NUMBERS)
    parts.append("\n## Names that other tools use\n\nThey are read, too; the names above win.\n\n")
    parts += [f"- `{alias}`: `{PREFIX}{NESTED.join(path).upper()}`\n" for alias, path in ALIASES.items()]
    return "".join(parts)


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
    print(f"{TARGET.name}: written")
