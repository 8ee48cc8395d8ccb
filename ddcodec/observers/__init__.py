"""Observers: networks trained on real images that judge, compare and label distilled ones.

``networks`` and ``small_networks`` build them, ``train`` trains them, ``rounding`` keeps small ones
within a number of bytes, ``file`` keeps one in a file. They import ``sources`` and rooms below it.
"""
