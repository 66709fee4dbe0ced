"""From the text of a pipeline file to resolved stages: facts with places, nothing is run."""
