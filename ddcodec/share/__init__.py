"""Distilled sets of others: read from what they publish, joined, cut, and handed on.

It may import everything but ``sweep`` and the command line.
"""
