"""What every consumer applies to real images: exact maps from 8-bit pixels to network inputs.

It may import ``nn``, ``format``, ``runtime``, ``errors`` and ``limits``.
"""
