"""How a task travels, in order of the way.

`task` what is submitted · `scheduler` what flies and what has landed · `channel` the contract of the
way to workers and back (`ring_channel` to processes, `thread_channel` to threads) · `functions` one
shipping of a function for many tasks · `worker` the loop at the other end · `outcome` results and
errors in bytes · `job` what results are told · `future` results as callers see them (`stream` those
of imap, `feed` their input) · `helping` who waits, helps · `pump` callbacks · `crew` who works
(`supervisor` who has died) · `engine` all of it together · `classic` none of it, for who has own parts.

Only `ring_channel` knows of rings, only `supervisor` of processes.  Used by `procession.pool`.
"""
