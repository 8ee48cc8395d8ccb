"""P-PoDD: posters in stages, each distilled beside the frozen ones before it.

It may import what ``codecs.podd`` may, and ``codecs.podd`` itself.
"""
