"""The decoded data set: ``DistilledDataset``, its batches and streams, files in chunks, export.

It may import ``codecs`` and the rooms below them.
"""
