"""Cells to PyMC models: no frames, no files, no sampling."""
