"""Diffusion models that the codec d3m draws images with: found, loaded, sampled from, trained.

They import ``sources`` and rooms below it.
"""
