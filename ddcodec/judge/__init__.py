"""What measures a file: plain ``torch.nn`` networks, autograd and ``torch.optim``.

It may import errors, limits, observers, what is drawn in an epoch or an augmentation, and what
every long run needs (random numbers, threads, progress), and shares no code with the networks,
derivatives and optimisers that distil.
"""
