"""How a project begins: what its data tell, which pipeline that makes, and what is written."""
