from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "portal.api"

    def ready(self) -> None:
        from federation.runs.signals import messages_sent
        from portal import changes
        from portal.wakes import wake

        changes.connect()
        messages_sent.connect(wake, dispatch_uid="portal.wakes")
