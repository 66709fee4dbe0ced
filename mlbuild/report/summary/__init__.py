"""What stands, on one page: of a pipeline's build or of one model, beside how it was before."""
