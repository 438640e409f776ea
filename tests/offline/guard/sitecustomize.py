"""Put this folder first on PYTHONPATH, and every child Python process starts with the guard."""

import offline_guard

offline_guard.install()
