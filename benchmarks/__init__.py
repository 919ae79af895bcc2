"""Measured speed and weight: each benchmark compares, in one run, against the figure it has to hold."""
