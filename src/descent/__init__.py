"""What notebooks import: device, data, checks and figures.

Import the part that is needed, as in `from descent import data`; the package itself loads nothing.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
