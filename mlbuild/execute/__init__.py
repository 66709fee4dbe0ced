"""Running stages: processes, fork servers, the worker, logs."""
