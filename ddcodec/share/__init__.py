"""Distilled sets of others, and one's own for others: read, joined, cut, shown and handed on.

It may import everything but ``sweep`` and the command line.
"""
