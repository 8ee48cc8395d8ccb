"""Grids of encodes, their record and their picture; it may import every room but ``cli``."""
