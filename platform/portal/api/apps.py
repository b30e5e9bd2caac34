from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "portal.api"

    def ready(self) -> None:
        from federation.runs.signals import messages_sent
        from portal import changes, wakes
        from studies.enrolment.signals import level_changed
        from studies.pooling.signals import pool_has_news

        changes.connect()
        messages_sent.connect(wakes.wake, dispatch_uid="portal.wakes")
        level_changed.connect(wakes.tell_level, dispatch_uid="portal.wakes.level")
        pool_has_news.connect(wakes.tell_pool, dispatch_uid="portal.wakes.pool")
