"""What psycopg must be told about texts; imported where PostgreSQL is the store, for the driver comes with an extra."""

from typing import Any, override

from psycopg.abc import Buffer
from psycopg.types.string import StrDumper


class _Whole(StrDumper):
    """PostgreSQL has no place for the character NUL in a text (8.3 Character Types), and JSON can spell it."""

    @override
    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\ufffd"))


def prepare(connection: Any, _record: object) -> None:
    """Make a new connection take every text."""
    connection.adapters.register_dumper(str, _Whole)
