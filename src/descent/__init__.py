"""What notebooks import: device, data, checks and figures."""

__version__ = "0.1.0"
