"""Set-up, checks and other tools of those who work on procession.

What sets up (prepare and what it imports) uses the standard library alone.
"""
