"""Augmentation, warps, and faults of other libraries that networks meet.

It may import ``errors`` and ``runtime``.
"""
