"""What runs inside a stage's process: standard library only, Python 3.8 and later.

The files import one another relatively and nothing else of mlbuild, because ``worker.py`` puts them
together under a name of its own in interpreters that have no mlbuild.
"""
