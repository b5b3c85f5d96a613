"""Durable facts: tables, migrations and one repository a noun. The only package that knows SQL.

A repository is a module of plain functions that take a `sqlalchemy.Connection` first and return
frozen rows. They run inside `dc1.storage.engine.database.Database.write` or `read`, which own the
transaction; no repository function commits.
"""
