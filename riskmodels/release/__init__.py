"""The gate: what a report may show."""
