"""The relay daemon that stands beside a SuperNode, and the ClientApp's access to it."""
