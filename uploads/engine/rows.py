"""Single rows, by statements that are written down.

Django composes the statement of a query anew whenever it is asked. For a session's row that takes
more than ten times as long as the database does, and each chunk asks for it three times: what this
buys stands in docs/performance.md. What is not asked for with each chunk goes through querysets.
"""

from typing import Any, TypeVar
from uuid import UUID

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from uploads.models import FileChunk, FileSession

M = TypeVar("M", bound=Model)


def find(model: type[M], value: object, *, by: str = "pk", lock: bool = False) -> M | None:
    """The row whose unique field `by` has this value.

    With `lock`, in a transaction, it is kept from others until that ends.
    """
    field = _field(model, by)
    connection = _connection(model)
    can_lock = connection.features.has_select_for_update
    return _first(
        model,
        f"SELECT * FROM {_table(model)} WHERE {_quoted(model, field.column)} = %s"  # noqa: S608
        f"{' FOR UPDATE' if lock and can_lock else ''}",
        field.get_db_prep_value(value, connection),
    )


def find_session_and_chunk(session_id: UUID, index: int) -> tuple[FileSession | None, bytes | None]:
    """The session, and the fingerprint of its chunk `index`, where there are such."""
    key = _field(FileSession, "pk").get_db_prep_value(session_id, _connection(FileSession))
    # Typed by hand: it has a column more than its model.
    found: Any = _first(
        FileSession,
        f"SELECT s.*, c.fingerprint AS stored FROM {_table(FileSession)} s "  # noqa: S608
        f"LEFT JOIN {_table(FileChunk)} c ON c.session_id = s.id "
        f"AND c.{_quoted(FileChunk, 'index')} = %s WHERE s.id = %s",
        index,
        key,
    )
    if found is None:
        return None, None
    return found, None if found.stored is None else bytes(found.stored)


def _first(model: type[M], statement: str, *values: object) -> M | None:
    """`statement` is made of names of the model alone; whatever somebody sent is in `values`."""
    rows = model._base_manager.using(_alias(model)).raw(statement, values)
    return next(iter(rows), None)


def _field(model: type[Model], name: str) -> Any:
    return model._meta.pk if name == "pk" else model._meta.get_field(name)


def _table(model: type[Model]) -> str:
    return _quoted(model, model._meta.db_table)


def _quoted(model: type[Model], name: str) -> str:
    return _connection(model).ops.quote_name(name)


def _connection(model: type[Model]) -> BaseDatabaseWrapper:
    return connections[_alias(model)]


def _alias(model: type[Model]) -> str:
    """Of the database that is written to: what is read here is what a decision is about."""
    return router.db_for_write(model)
