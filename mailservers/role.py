"""The database's role by which Dovecot and Postfix read the mail views, and nothing else."""

from collections.abc import Iterable

from django.db import connection, transaction
from psycopg import sql

from mailservers import mailviews
from mpanel.core.errors import Invalid

VIEWS = mailviews.names()


@transaction.atomic
def make_role(name: str, password: str) -> bool:
    """Make or mend the role; an empty password leaves the present one. Whether it is new.

    Raises `Invalid` on SQLite, which has no roles, and for a role that may do more.
    """
    if connection.vendor != "postgresql":
        raise Invalid(
            "SQLite has no roles: the mail server reads PostgreSQL only. Set DATABASE_URL to a "
            "PostgreSQL server; on this machine, the sandbox stands in for the mail server."
        )
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
            " OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid)"
            " OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid)"
            " FROM pg_roles WHERE rolname = %s",
            [name],
        )
        known = cursor.fetchone()
        if known and known[0]:
            raise Invalid(f"The role {name} may do more than read. Choose another name.")
        if not known and not password:
            raise Invalid(f"The role {name} is new: give it a password.")
        _run("CREATE ROLE {role} LOGIN" if not known else "ALTER ROLE {role} LOGIN", name)
        if password:
            cursor.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )
        # What it may do is decided by grants; these keep a mistake or a slow query small.
        _run("ALTER ROLE {role} SET default_transaction_read_only = on", name)
        _run("ALTER ROLE {role} SET statement_timeout = '10s'", name)
        _run("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}", name)
        _run("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {role}", name)
        _run("REVOKE ALL ON SCHEMA public FROM {role}", name)
    grant_views(name)
    return not known


def grant_views(name: str) -> None:
    """Let a role read the mail views. A view that a migration makes anew lost its grants."""
    _run("GRANT USAGE ON SCHEMA public TO {role}", name)
    for view in VIEWS:
        # No expression of the reader is worked out on rows that the view leaves out.
        _run("ALTER VIEW {view} SET (security_barrier = true)", name, view=view)
        _run("GRANT SELECT ON {view} TO {role}", name, view=view)


def grant_views_again(names: Iterable[str]) -> None:
    """After migrations: the roles of these names that exist read the views as before."""
    if connection.vendor != "postgresql":
        return
    for name in names:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
            exists = cursor.rowcount > 0
        if exists:
            grant_views(name)


def may_create(name: str) -> bool:
    """Whether everybody may make tables in this database, as before PostgreSQL 15."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [name])
        return bool(cursor.fetchone()[0])


def _run(statement: str, name: str, *, view: str = "") -> None:
    # psycopg quotes the names; a role is no value that could be sent apart.
    composed = sql.SQL(statement).format(role=sql.Identifier(name), view=sql.Identifier(view))
    with connection.cursor() as cursor:
        cursor.execute(composed)
