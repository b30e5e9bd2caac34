"""What a worker does with the messages of a connection to Redis that is gone."""

from types import SimpleNamespace

from kombu.transport.redis import Channel

from portal import celery


def test_a_task_that_ends_after_its_connection_is_left_unacknowledged() -> None:
    assert Channel.QoS is celery.Acknowledgements
    closed = SimpleNamespace(connection=None, do_restore=False)
    celery.Acknowledgements(closed).ack("a tag")
