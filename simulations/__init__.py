"""The experiments: datasets, models, the Flower app, scenarios and reports. Not installed."""
