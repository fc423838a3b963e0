"""The site's WSGI application, with a hook at every failpoint. See `control`."""

import faulthandler
import os
import signal
from pathlib import Path

from config.wsgi import application

from benchmarks.chaos.control import Saboteur
from uploads.engine import following
from uploads.failpoints import set_hook

__all__ = ["application"]

# Asked for when descriptors leak: who holds them?
faulthandler.register(signal.SIGUSR1)
# What its client has abandoned keeps no file open for long: at the end, any that is open is a leak.
following.QUIET_SECONDS = 10
set_hook(Saboteur(Path(os.environ["CHAOS_CONTROL"])))
