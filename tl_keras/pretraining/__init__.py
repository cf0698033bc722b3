"""Making a source model: its images, and its training from scratch."""
