"""Grids of runs: what they mean, their jobs, their record."""
