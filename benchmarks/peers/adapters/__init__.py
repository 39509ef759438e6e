"""One system a file: what it needs to train the setting, through what it offers its users."""
