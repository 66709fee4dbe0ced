"""Pictures of a release as SVG; colours are classes of the page's style."""
