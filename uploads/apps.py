from django.apps import AppConfig


class UploadsConfig(AppConfig):
    name = "uploads"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "Uploads"

    def ready(self) -> None:
        from uploads import checks  # noqa: F401  (registers the system checks)
