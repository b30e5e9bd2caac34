import audit.models
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

INDEXES = {"audit_event_words": None, "audit_event_platform": models.Q(("study", ""))}
# Only its owner may file what waits in an index's list; the sequencer, who owns nothing, calls this.
FILING = """
CREATE FUNCTION audit_file_words() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
SELECT gin_clean_pending_list('public.audit_event_words'::regclass)
     + gin_clean_pending_list('public.audit_event_platform'::regclass)
$$
"""


def longer_list(name, condition):
    """As `RemoveIndex` and `AddIndex`, without making the index anew."""
    words = django.contrib.postgres.search.SearchVector(
        "actor_label", "action", "object_label", "detail", config="simple"
    )
    index = django.contrib.postgres.indexes.GinIndex(
        words, name=name, condition=condition, gin_pending_list_limit=16384
    )
    return migrations.RunSQL(
        f"ALTER INDEX {name} SET (gin_pending_list_limit = 16384)",
        f"ALTER INDEX {name} RESET (gin_pending_list_limit)",
        state_operations=[
            migrations.RemoveIndex(model_name="event", name=name),
            migrations.AddIndex(model_name="event", index=index),
        ],
    )


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0006_context"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(model_name="event", name="queued"),
        pgtrigger.migrations.AddTrigger(
            model_name="event",
            trigger=pgtrigger.compiler.Trigger(
                name="queued",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func="INSERT INTO audit_queue (event) VALUES (NEW.id); RETURN NULL;",
                    hash="ddaf79ae39406bb7d922fb417d68960495fe1205",
                    operation="INSERT",
                    pgid="pgtrigger_queued_a2498",
                    table="audit_event",
                    when="AFTER",
                ),
            ),
        ),
        migrations.RemoveConstraint(model_name="event", name="audit_event_action"),
        migrations.RemoveConstraint(model_name="event", name="audit_event_outcome"),
        migrations.RemoveConstraint(model_name="event", name="audit_event_actor"),
        migrations.AddConstraint(
            model_name="event",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("action__regex", "^[a-z_]+:[a-z_]+:[a-z_]+$"),
                    ("outcome__in", ["done", "refused", "failed"]),
                    models.Q(("actor", ""), _negated=True),
                ),
                name="audit_event_sound",
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="salt",
            field=models.BinaryField(
                db_default=models.Func(
                    function="gen_random_uuid",
                    output_field=models.BinaryField(),
                    template="(uuid_send(%(function)s()) || uuid_send(%(function)s()) || uuid_send(%(function)s()))",
                ),
                default=audit.models.new_salt,
                help_text="16 bytes for each of names, detail, context",
            ),
        ),
        *(longer_list(name, condition) for name, condition in INDEXES.items()),
        migrations.RunSQL(FILING, "DROP FUNCTION audit_file_words()"),
    ]
