"""Survey file to profile: the only step of the checks that sees rows, and it sees them as SQL counts and sums."""
