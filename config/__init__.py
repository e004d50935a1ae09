"""Settings, from the environment only, and logging."""

from config.settings import Settings

__all__ = ["Settings"]
