"""Pictures drawn by formula: surface defects, and the task of the bundled source model."""
