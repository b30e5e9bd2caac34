from django.apps import AppConfig


class LifecycleConfig(AppConfig):
    name = "studies.lifecycle"
    verbose_name = "Studies"
    default_auto_field = "django.db.models.BigAutoField"
