from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "nodes.registry"
    verbose_name = "Nodes"
    default_auto_field = "django.db.models.BigAutoField"
