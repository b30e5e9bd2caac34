from django.apps import AppConfig


class PoolingConfig(AppConfig):
    name = "studies.pooling"
    verbose_name = "Pooled rows"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from studies.pooling import receivers

        receivers.connect()
