from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "portal.api"

    def ready(self) -> None:
        from federation.runs.signals import messages_sent
        from portal.api import tokens
        from portal.wakes import wake

        tokens.connect()
        messages_sent.connect(wake, dispatch_uid="portal.wakes")
