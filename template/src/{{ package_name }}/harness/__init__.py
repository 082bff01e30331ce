# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The runtime of an experiment: command line, configuration, run folders, exact resume.

It imports nothing of the project's own `model.py` and `data.py`, which `__main__.py` hands to it.
"""
