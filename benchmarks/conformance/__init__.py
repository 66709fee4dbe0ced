"""coremltools' own tests, and other known answers, against the reference runtime."""
