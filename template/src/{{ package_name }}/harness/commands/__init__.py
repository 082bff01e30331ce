# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""One command per file; see `cli.py`."""
