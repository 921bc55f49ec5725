"""The crash matrix: real workers that are killed, stopped or made to fail at named points, and what their runs come to.

Owns points, faults, workload and verdict; product code knows nothing of it. `python -m tests.chaos` is the long form (make chaos).
"""
