# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""What `predict` shows, drawn as images."""
