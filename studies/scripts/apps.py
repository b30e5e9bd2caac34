from django.apps import AppConfig


class ScriptsConfig(AppConfig):
    name = "studies.scripts"
    verbose_name = "Scripts and approvals"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from studies.scripts import receivers

        receivers.connect()
