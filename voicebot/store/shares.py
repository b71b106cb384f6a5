"""Which rows belong to one worker's calls, said in SQL as the core says it."""

import sqlite3
from typing import Any

from sqlalchemy import ColumnElement, Integer, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from voicebot.core.shares import SLOT_DIGITS, Share, slot

SLOT = "voicebot_slot"


class _Slot(FunctionElement[int]):
    """The slot of a call by its id (`voicebot.core.shares.slot`)."""

    type = Integer()
    inherit_cache = True
    name = SLOT


@compiles(_Slot, "sqlite")
def _for_sqlite(element: _Slot, compiler: SQLCompiler, **options: Any) -> str:
    return f"{SLOT}({compiler.process(element.clauses, **options)})"


@compiles(_Slot, "postgresql")
def _for_postgresql(element: _Slot, compiler: SQLCompiler, **options: Any) -> str:
    call_id = compiler.process(element.clauses, **options)
    bits = 4 * SLOT_DIGITS
    return f"(('x' || left(md5(split_part({call_id}, '.', 1)), {SLOT_DIGITS}))::bit({bits})::int)"


def teach(connection: sqlite3.Connection) -> None:
    """Let an SQLite connection know the function."""
    connection.create_function(SLOT, 1, slot, deterministic=True)


def theirs(share: Share, call_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Return the condition that a row's call is the worker's; alone it has them all."""
    return true() if share.of == 1 else _Slot(call_id) % share.of == share.index
