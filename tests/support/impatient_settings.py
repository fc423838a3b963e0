"""The site's settings for a server that waits only seconds for a client that has stalled."""

from config.settings import *  # noqa: F403

from uploads import connections

connections.IDLE_SECONDS = 3.0
connections.LOOK_SECONDS = 0.5
