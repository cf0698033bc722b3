"""SavedModels, and the proof that they answer as the trained model does."""
