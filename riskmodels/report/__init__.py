"""Cleared estimates to files and terminal tables."""
