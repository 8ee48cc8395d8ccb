"""Observers: networks trained on real images that judge, compare and label distilled ones.

``networks`` builds them, ``train`` trains them, ``file`` keeps one in a file. They import
``sources`` and rooms below it.
"""
