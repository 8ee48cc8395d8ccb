"""Unrolled distillation with derivatives written out; knows no file and no command.

It may import ``nn``, ``format``, ``runtime``, ``errors`` and ``limits``, never ``judge``.
"""
