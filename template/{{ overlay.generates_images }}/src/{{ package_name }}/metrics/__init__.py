# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Metrics that torchmetrics lacks."""
