"""Accounts and grants of MariaDB."""

from __future__ import annotations

from support.mutations import Made, Mutation


def maria(do: str, undo: str) -> Made:
    """A statement of MariaDB's administrator, and what takes it back."""
    return lambda door: door.mysql(do, undo=[undo])


SUBJECT = "REQUIRE SUBJECT '/O=shop/OU=service/CN=storefront'"

MARIADB = [
    Mutation(
        "the grant is revoked",
        "invoicer:invoices",
        "invoicer may own invoices",
        maria("REVOKE ALL PRIVILEGES ON invoices.* FROM invoicer", "GRANT ALL PRIVILEGES ON invoices.* TO invoicer"),
    ),
    Mutation(
        "reading is revoked",
        "storefront:invoices",
        "storefront may read invoices",
        maria("REVOKE SELECT ON invoices.* FROM storefront", "GRANT SELECT ON invoices.* TO storefront"),
    ),
    Mutation(
        "the account is locked",
        "billing:prices",
        "billing may own prices",
        maria("ALTER USER billing ACCOUNT LOCK", "ALTER USER billing ACCOUNT UNLOCK"),
    ),
    *(
        Mutation(
            f"a reader may {verb.lower()}",
            "storefront:invoices",
            "storefront may only read invoices",
            maria(f"GRANT {verb} ON invoices.* TO storefront", f"REVOKE {verb} ON invoices.* FROM storefront"),
        )
        for verb in ("DELETE", "INSERT", "UPDATE", "DROP", "TRIGGER")
    ),
    Mutation(
        "a reader may hand it on",
        "storefront:invoices",
        "storefront may only read invoices",
        maria(
            "GRANT SELECT ON invoices.* TO storefront WITH GRANT OPTION",
            "REVOKE GRANT OPTION ON invoices.* FROM storefront",
        ),
    ),
    Mutation(
        "a reader may read files",
        "storefront:invoices",
        "storefront may only read invoices",
        maria("GRANT FILE ON *.* TO storefront", "REVOKE FILE ON *.* FROM storefront"),
    ),
    Mutation(
        "another service may read",
        "storefront:invoices",
        "billing at invoices",
        maria("GRANT SELECT ON invoices.* TO billing", "REVOKE SELECT ON invoices.* FROM billing"),
    ),
    Mutation(
        "any subject will do",
        "storefront:invoices",
        "anybody else as storefront at invoices",
        maria("ALTER USER storefront REQUIRE X509", f"ALTER USER storefront {SUBJECT}"),
    ),
    Mutation(
        "no certificate will do",
        "storefront:invoices",
        "anybody else as storefront at invoices",
        maria("ALTER USER storefront REQUIRE NONE", f"ALTER USER storefront {SUBJECT}"),
    ),
    Mutation(
        "another's subject will do",
        "storefront:invoices",
        "anybody else as storefront at invoices",
        maria(
            "ALTER USER storefront REQUIRE SUBJECT '/O=shop/OU=service/CN=notifier'",
            f"ALTER USER storefront {SUBJECT}",
        ),
    ),
]
