"""SavedModels and other formats, and the proof that they answer as the trained model does."""
