"""What several methods need: labels in bytes, mosaics, groups of classes, selection, rules.

Imports what the folders of the methods may import, but none of them.
"""
