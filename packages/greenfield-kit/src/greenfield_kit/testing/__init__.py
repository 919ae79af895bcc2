"""For the tests of a service: its real back ends for as long as a test run lasts, and fakes where none is wanted.

A fake keeps the promises of what it stands for: one suite of contract tests runs on both.
"""
