"""How nodes nest: the scope they see, how composites gather their parts, and the walk that opens what comes next.

Pure. Used by `machine`; knows nothing of contracts' outcomes or of how a run ends.
"""
