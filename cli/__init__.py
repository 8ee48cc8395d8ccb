"""The command line, a module for each command; it may import every room, and none imports it."""
