from django.apps import AppConfig


class FormPagesConfig(AppConfig):
    name = "tests.form_pages"
    label = "form_pages"
    default_auto_field = "django.db.models.BigAutoField"
