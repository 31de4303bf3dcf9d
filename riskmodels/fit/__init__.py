"""Models to checked posteriors: the only room that samples."""
