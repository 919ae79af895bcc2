"""Runs the migrations on the database that the platform wired."""

import os

from alembic import context
from sqlalchemy import create_engine

url = os.environ["GUESTS_URL"].replace("postgresql://", "postgresql+psycopg://", 1)

with create_engine(url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
