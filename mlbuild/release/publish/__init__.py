"""Publishers: places that a release goes to, each one file behind one protocol."""
