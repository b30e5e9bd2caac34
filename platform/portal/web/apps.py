from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "portal.web"
    verbose_name = "Pages"

    def ready(self) -> None:
        from portal.web import news

        news.connect()
