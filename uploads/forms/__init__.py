"""Files of any size in a form: what a project adds to its own forms, views and admin.

See docs/integrate.md.
"""

from uploads.engine.claiming import UploadClaimed
from uploads.engine.uploaded import UploadedContent

from .admin import ResumableAdminMixin
from .binding import bind_uploads
from .checking import validate_uploaded_file
from .fields import ResumableFileField
from .taking import taking_uploads
from .views import ResumableUploadMixin, takes_files
from .widgets import ResumableFileInput

__all__ = [
    "ResumableAdminMixin",
    "ResumableFileField",
    "ResumableFileInput",
    "ResumableUploadMixin",
    "UploadClaimed",
    "UploadedContent",
    "bind_uploads",
    "takes_files",
    "taking_uploads",
    "validate_uploaded_file",
]
