"""Runs the migrations on the database that the platform wired."""

import os

from alembic import context
from sqlalchemy import create_engine, text

with create_engine(os.environ["INVOICES_URL"]).connect() as connection:
    connection.execute(text("select get_lock(database(), 60)"))  # until the connection ends
    connection.commit()
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
