"""Small sets of real images or means: which are drawn, how many fit into a budget, how stored.

It may import ``sources``, ``preprocessing``, ``errors`` and ``runtime``.
"""
