from django.apps import AppConfig


class EnrolmentConfig(AppConfig):
    name = "studies.enrolment"
    verbose_name = "Enrolments"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from studies.enrolment import receivers

        receivers.connect()
