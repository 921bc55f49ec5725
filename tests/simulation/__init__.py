"""The deterministic simulation: whole engines on a clock, a scheduler and a world of the tests' own, under faults, held to invariants.

What is real: `runs.worker.Engine` with its loops, Driver, Performing, planning and boundary admission; `runs.store` with its Committer;
`runs.services`, `runs.sweeps` and the ledger; SQLite with all migrations and triggers. No transition is written a second time here.

What is replaced, and why just there:

- asyncio's event loop (`loop`): each simulated process has one, and the world turns them one at a time, in an order that comes from the
  seed. That is the seam with the least code: everything that an engine does passes it, so the engine needs no hook, and a process that is
  killed is a loop that is not turned any more. What a committer thread would do is a job in a queue, done in one go where the world says;
  how many such threads an engine has comes from the seed, as the number of writers comes from its database.
- the clocks: `audit.clock.now` and what `time.monotonic` is to an engine. Time moves only when nothing is ready.
- the connection (`database`): one in memory for all processes, restored from a template for each seed. BEGIN and COMMIT are where faults
  strike, and where a job stands still while other processes go on (one within the other: the stack is the schedule).
- the adapters (`outside`): children, fetch and the model provider are a world of effects that remembers what was sent and answered.

`scenarios` makes pipelines and what happens to them, `world` plays them, `invariants` watches every commit, `mutants` breaks the real
code on purpose: what no invariant notices is an invariant that is missing. Two processes never run inside one transaction, so what only
PostgreSQL's concurrent transactions show (a lock that isn't taken) is not to be found here.
"""
