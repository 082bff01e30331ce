"""Yours: `__main__.py`, `model.py`, `data.py`. Managed: files whose first line says so."""
