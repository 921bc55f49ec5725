"""Runs over REST: start, list, show, watch, cancel, judge again. Each door parses, calls one use-case, renders."""
