"""NeuralNetwork models: the format of Core ML 1 to 4."""
