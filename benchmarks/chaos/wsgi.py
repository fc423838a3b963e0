"""The site's WSGI application, with a hook at every failpoint. See `control`."""

import faulthandler
import os
import signal
from pathlib import Path

from config.wsgi import application

from benchmarks.chaos.control import Saboteur
from uploads.failpoints import set_hook

__all__ = ["application"]

# Asked for when descriptors leak: who holds them?
faulthandler.register(signal.SIGUSR1)
set_hook(Saboteur(Path(os.environ["CHAOS_CONTROL"])))
