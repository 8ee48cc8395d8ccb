"""Measuring a file: students trained on the decoded data set, and baselines beside them.

It may import ``data``, ``codecs``, ``judge`` and what lies below them.
"""

from .measure import test_split, train_students

__all__ = ["test_split", "train_students"]
