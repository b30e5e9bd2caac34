from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "federation.runs"
    label = "runs"
    verbose_name = "Runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from federation.runs import receivers

        receivers.connect()
