"""The fast engine: Laplace approximation of effects, made exact by importance weights; engine.py says how."""
