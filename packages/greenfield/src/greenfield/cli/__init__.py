"""Arguments in, exit code out: one module for each family of commands; here the rooms are wired together.

Nothing is decided here that another front end would have to decide again.
"""
