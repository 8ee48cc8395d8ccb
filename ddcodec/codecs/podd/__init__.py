"""PoDD: one poster. An encode goes encode -> plan -> initial -> outer_loop -> pack.

It may import ``codecs.shared``, ``codecs.base`` and ``codecs.options``, and the rooms below codecs.
"""
