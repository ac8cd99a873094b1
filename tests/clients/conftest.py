"""Only what runs in the clients' environment is collected: see ``tests/clients/__main__.py``."""

import os

collect_ignore_glob = [] if "PROCESSION_CLIENTS" in os.environ else ["test_*.py"]
