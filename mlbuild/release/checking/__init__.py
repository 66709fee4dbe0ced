"""What `mlbuild verify RELEASE` holds a release folder against: one file for each kind of check."""
