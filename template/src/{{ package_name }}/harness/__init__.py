# Managed by copier-lightning: an update may replace this file. Yours to edit: model.py, data.py.
"""The runtime of an experiment: command line, configuration, run folders, exact resume.

It imports nothing from the project's `model.py` and `data.py`: `__main__.py` passes their classes
to it.
"""
