"""On-device training of updatable models, as Core ML's MLUpdateTask does it."""
