"""The methods: one folder each, all behind the one interface of ``base`` and ``registry``.

A codec may use ``observers``, ``priors``, ``judge``, ``distill``, ``coresets``, ``sources`` and all
below them.
"""
