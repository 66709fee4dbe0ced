"""The layers, one file for each or for a family of siblings; found by ``nn.layer``."""
