"""What the library asks of the process and the machine that it runs on."""
