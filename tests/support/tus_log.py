"""What the server's log tells of tus requests."""

from .server import Server


def patches(server: Server, upload_id: str) -> int:
    """How many PATCHes of the upload the server is through with: each has a line in the log."""
    lines = (line for line in server.log.splitlines() if '"method": "PATCH"' in line)
    return sum(upload_id in line for line in lines)
