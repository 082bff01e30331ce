# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Draws what `predict` shows."""
