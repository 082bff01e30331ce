"""Yours: `model.py` and `data.py`. Managed by the template: `harness`."""
