"""A statement as the database's driver takes it: compiled once, with what turns our values into the driver's."""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.sql.compiler import SQLCompiler

type Parameters = Mapping[str, Any]


class Prepared:
    """One statement for one dialect; `columns` are those that an INSERT writes, where it does not name them itself.

    SQLAlchemy would look the statement up and work out its parameters anew at every execution, which costs more than
    SQLite takes to write a row.
    """

    def __init__(self, statement: ClauseElement, dialect: Dialect, columns: Iterable[str] = ()) -> None:
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect, column_keys=list(columns)))
        self.sql = str(compiled)
        self._order = compiled.positiontup
        converters = {
            name: convert
            for bind, name in compiled.bind_names.items()
            if (convert := bind.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        self._constants = {
            name: converters.pop(name, _as_it_is)(bind.value)
            for bind, name in compiled.bind_names.items()
            if not bind.required
        }
        self._converters = tuple(converters.items())

    def execute(self, connection: Connection, rows: Iterable[Parameters]) -> None:
        """Execute it for each row; raises SQLAlchemyError."""
        try:
            connection.exec_driver_sql(self.sql, [self.parameters(row) for row in rows])
        except SQLAlchemyError:
            raise
        except Exception as error:  # a converter's, or the driver's of a value that no column takes
            raise StatementError(str(error), self.sql, None, error, hide_parameters=True) from error

    def parameters(self, row: Parameters) -> Any:
        """Return a row as the driver takes it: a tuple, or a mapping where its statements name their parameters."""
        values = {**self._constants, **row}
        for name, convert in self._converters:
            values[name] = convert(values[name])
        return values if self._order is None else tuple([values[name] for name in self._order])


def _as_it_is(value: Any) -> Any:
    return value
