"""Holdfast beside the bare limit and beside others, in one run: `make bench`."""
