"""What the engine has every Python process of a stage do as it starts: see ``sitecustomize.py``."""
