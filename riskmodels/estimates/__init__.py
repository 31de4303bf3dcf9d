"""Fits to tidy posterior summaries: draw by draw first, intervals last."""
