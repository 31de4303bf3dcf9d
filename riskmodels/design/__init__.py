"""Survey to cells: the last room that knows what a row of input looked like."""
