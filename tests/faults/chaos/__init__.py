"""Pools, queues, locks and managers at work while members of the family are killed and stopped.

``python -m tests.faults.chaos --seconds 60 --seed 1`` (or ``make chaos SECONDS=60 SEED=1``): exit
status 0 if nothing was lost, answered twice, left behind or left hanging.
"""
