from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    name = "federation.releases"
    label = "releases"
    verbose_name = "Model cards and releases"
    default_auto_field = "django.db.models.BigAutoField"
