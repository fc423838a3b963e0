"""What other apps can listen to."""

from django.dispatch import Signal

#: Sent with `session` (FileSession) once its content is complete, verified and committed, and its
#: staging is gone. At most once: a server killed right after the commit sends nothing.
upload_completed = Signal()
