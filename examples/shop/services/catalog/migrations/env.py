"""Runs the migrations on the database that the platform wired."""

import os

from alembic import context
from sqlalchemy import create_engine, text

url = os.environ["PRODUCTS_URL"].replace("postgresql://", "postgresql+psycopg://", 1)

with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.execute(text("select pg_advisory_xact_lock(1)"))
        context.run_migrations()
