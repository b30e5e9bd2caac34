"""Keep when a statement was written apart from when its validity begins."""

from django.db import migrations, models
from django.db.models import F, Q


def begin_as_kept(apps, schema_editor):
    apps.get_model("scripts", "Approval").objects.update(not_before=F("signed_at"))


class Migration(migrations.Migration):
    dependencies = [("scripts", "0002_reviews")]

    operations = [
        migrations.AddField("approval", "not_before", models.DateTimeField(null=True)),
        migrations.RunPython(begin_as_kept, migrations.RunPython.noop),
        migrations.AlterField("approval", "not_before", models.DateTimeField()),
        migrations.AlterField(
            "approval",
            "signed_at",
            models.DateTimeField(help_text="When the site wrote the statement, as it says"),
        ),
        migrations.RemoveConstraint("approval", "scripts_approval_period"),
        migrations.AddConstraint(
            "approval",
            models.CheckConstraint(condition=Q(not_after__gt=F("not_before")), name="scripts_approval_period"),
        ),
    ]
