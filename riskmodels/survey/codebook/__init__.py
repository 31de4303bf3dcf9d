"""What was asked of whom, and what the codes in a file mean: the study's codebook."""
