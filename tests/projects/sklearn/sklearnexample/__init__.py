"""A scikit-learn project with Flower's message API."""
