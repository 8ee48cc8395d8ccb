"""What a file says without training: ``info``, ``verify``, differences, a picture, equivalents.

It may import ``data``, ``codecs`` and the rooms below them; ``info`` and ``verify`` load no torch.
"""
