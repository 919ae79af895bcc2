"""Roles, databases, and who is admitted to them."""

from __future__ import annotations

from support.mutations import Made, Mutation


def sql(do: str, undo: str, database: str = "template1") -> Made:
    """A statement of PostgreSQL's superuser, and what takes it back."""
    return lambda door: door.postgres(do, undo=[undo], database=database)


POSTGRES = [
    Mutation(
        "the membership is revoked",
        "catalog:products",
        "catalog may own products",
        sql('REVOKE "products:own" FROM catalog', 'GRANT "products:own" TO catalog'),
    ),
    Mutation(
        "the role may not log in",
        "catalog:products",
        "catalog may own products",
        sql("ALTER ROLE catalog NOLOGIN", "ALTER ROLE catalog LOGIN"),
    ),
    Mutation(
        "the group may not connect",
        "catalog:products",
        "catalog may own products",
        sql(
            'REVOKE CONNECT ON DATABASE products FROM "products:read"',
            'GRANT CONNECT ON DATABASE products TO "products:read"',
        ),
    ),
    Mutation(
        "the owners may not create",
        "catalog:products",
        "catalog may own products",
        sql(
            'ALTER SCHEMA public OWNER TO "platform:admin"; REVOKE ALL ON SCHEMA public FROM "products:own"',
            'ALTER SCHEMA public OWNER TO "products:own"',
            "products",
        ),
    ),
    Mutation(
        "another service may read",
        "storefront:purchases",
        "catalog at purchases",
        sql('GRANT "purchases:read" TO catalog', 'REVOKE "purchases:read" FROM catalog'),
    ),
    Mutation(
        "a service may make roles",
        "catalog:products",
        "catalog may only own products",
        sql("ALTER ROLE catalog CREATEROLE", "ALTER ROLE catalog NOCREATEROLE"),
    ),
    Mutation(
        "a service is a superuser",
        "catalog:products",
        "catalog may only own products",
        sql("ALTER ROLE catalog SUPERUSER", "ALTER ROLE catalog NOSUPERUSER"),
    ),
    Mutation(
        "a service may run programs",
        "storefront:purchases",
        "storefront may only own purchases",
        sql("GRANT pg_execute_server_program TO storefront", "REVOKE pg_execute_server_program FROM storefront"),
    ),
    Mutation(
        "owners may run programs",
        "catalog:products",
        "catalog may only own products",
        sql(
            'GRANT pg_execute_server_program TO "products:own"',
            'REVOKE pg_execute_server_program FROM "products:own"',
        ),
    ),
    Mutation(
        "everybody may connect",
        "storefront:purchases",
        "everybody inside purchases",
        sql("GRANT CONNECT ON DATABASE purchases TO PUBLIC", "REVOKE CONNECT ON DATABASE purchases FROM PUBLIC"),
    ),
    Mutation(
        "everybody may create",
        "catalog:products",
        "everybody inside products",
        sql("GRANT ALL ON SCHEMA public TO PUBLIC", "REVOKE ALL ON SCHEMA public FROM PUBLIC", "products"),
    ),
    Mutation(
        "everybody is admitted",
        "storefront:purchases",
        "catalog at purchases",
        lambda door: door.admission("pg_hba.conf", lambda text: text.replace('+"purchases:read"', "all")),
    ),
    Mutation(
        "no certificate is asked for",
        "storefront:purchases",
        "an undeclared service as storefront at purchases",
        lambda door: door.admission(
            "pg_hba.conf",
            lambda text: text.replace(
                '+"purchases:read" 127.0.0.0/8 cert map=service clientname=DN', '+"purchases:read" 127.0.0.0/8 trust'
            ),
        ),
    ),
    Mutation(
        "whoever has a certificate is the owner",
        "catalog:products",
        "an undeclared service as catalog at products",
        lambda door: door.admission("pg_ident.conf", lambda text: f'{text}service "/^CN=" "catalog"\n'),
    ),
    Mutation(
        "one other service is the owner",
        "catalog:products",
        "anybody else as catalog at products",
        lambda door: door.admission(
            "pg_ident.conf", lambda text: f'{text}service "CN=notifier,OU=service,O=shop" "catalog"\n'
        ),
    ),
    Mutation(
        "a service is the administrator",
        "storefront:purchases",
        "notifier as the administrator of postgres",
        lambda door: door.admission(
            "pg_ident.conf", lambda text: f'{text}platform "CN=notifier,OU=service,O=shop" "platform:admin"\n'
        ),
    ),
]
