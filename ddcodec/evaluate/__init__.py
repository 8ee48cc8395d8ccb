"""Measuring a file: students trained on the decoded data set, and baselines beside them.

It may import ``data``, ``codecs``, ``judge`` and what lies below them.
"""
