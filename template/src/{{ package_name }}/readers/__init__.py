# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""Reads the input data of the task, and reports everything that is wrong with it at once."""
