"""Rules of the catalogue, by theme: each a function of a profile and a codebook, giving a list of problems."""
