"""What other apps can listen to.

Each is sent after the commit that it tells of, to every receiver whatever the others do, and at
most once: a server killed right after the commit sends nothing.
"""

from django.dispatch import Signal

#: Sent with `session` (FileSession) once its content is complete, verified and committed, and its
#: staging is gone.
upload_completed = Signal()

#: Sent with `session` and `error`, the sentence that its owner reads, once it has failed: what
#: arrived was not what was declared, a validator refused it, or the disk has lost it.
upload_failed = Signal()

#: Sent with `session` once a form has taken it and has committed that. Its content is there until
#: all receivers have returned; then session and content go.
upload_consumed = Signal()
