"""The ledger over REST, and what every REST door is made of: shapes, strict input, pages, the base class with its operations.

Knows DRF and no use-case of the apps above. The other apps' `api` packages build on it; the site mounts them.
"""
