"""Keep from which version a draft was begun, so that it is not published over a newer one."""

from django.db import migrations, models
from django.db.models import Max


def base_of_standing_drafts(apps, schema_editor):
    """A draft was begun from no later version than there was at its last change."""
    version = apps.get_model("dictionary", "DictionaryVersion")
    for draft in apps.get_model("dictionary", "DictionaryDraft").objects.all():
        known = version.objects.filter(study=draft.study_id, created_at__lte=draft.changed_at)
        draft.base = known.aggregate(newest=Max("number"))["newest"] or 0
        draft.save(update_fields=["base"])


class Migration(migrations.Migration):
    dependencies = [("dictionary", "0003_draft")]

    operations = [
        migrations.AddField(
            "dictionarydraft",
            "base",
            models.PositiveIntegerField(
                default=0, help_text="Number of the newest version when the draft was begun; 0 without one"
            ),
            preserve_default=False,
        ),
        migrations.RunPython(base_of_standing_drafts, migrations.RunPython.noop),
    ]
