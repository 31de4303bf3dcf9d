"""Published tables as targets: recomputed, judged, and never adjusted to fit."""
