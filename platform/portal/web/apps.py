from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "portal.web"
    verbose_name = "Pages"

    def ready(self) -> None:
        from portal import session_life
        from portal.web import news

        news.connect()
        session_life.connect()
