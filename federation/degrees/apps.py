from django.apps import AppConfig


class DegreesConfig(AppConfig):
    name = "federation.degrees"
    label = "degrees"
    verbose_name = "Comparisons of degrees of federation"
    default_auto_field = "django.db.models.BigAutoField"
