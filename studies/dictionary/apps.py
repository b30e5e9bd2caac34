from django.apps import AppConfig


class DictionaryConfig(AppConfig):
    name = "studies.dictionary"
    verbose_name = "Data dictionaries and datasets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from studies.dictionary import receivers

        receivers.connect()
