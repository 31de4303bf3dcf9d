"""Data in: readers, checks and records of what was asked of whom."""
