"""One file for one operator, or for a family of tiny siblings.

A file here registers what it defines (see ``mil.operator``) and is found by listing the folder.
"""
