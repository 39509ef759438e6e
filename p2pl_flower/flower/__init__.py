"""All that knows Flower: the strategy, the app on the devices, and what they say to each other."""
