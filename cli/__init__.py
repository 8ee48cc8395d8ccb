"""The command line of ddcodec. Each command is one file; ``app.main`` is the way in."""
