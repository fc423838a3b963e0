"""System checks: what would break a promise is said before the first upload, not after.

Each message says what is wrong, why it matters, and as its hint the lines that mend it. What they
all are: docs/integrate.md.
"""

from . import browsing, database, downloads, folders, origins, pages, serving, tasks

__all__ = ["browsing", "database", "downloads", "folders", "origins", "pages", "serving", "tasks"]
