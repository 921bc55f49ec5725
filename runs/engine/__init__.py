"""The pure engine: what a run does next, decided from frozen values.

Knows no Django, no clock, no randomness and no I/O. The worker calls `machine`; everything below serves it.
"""
