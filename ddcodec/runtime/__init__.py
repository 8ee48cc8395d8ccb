"""What long work needs, whatever it computes: device, random numbers, ranks, checkpoints, progress.

It may import only ``errors`` and ``limits``.
"""
