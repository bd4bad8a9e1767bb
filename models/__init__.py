"""Learn: detector, classifier and encoder, each with its configuration, data, training, inference, evaluation."""
