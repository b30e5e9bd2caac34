from django.db import migrations, models

KINDS = ("alone", "left-out", "federated", "personalised", "hybrid", "central")


class Migration(migrations.Migration):
    dependencies = [("degrees", "0002_seeds")]

    operations = [
        migrations.AddField("degreecomparison", "personalised", models.JSONField(default=list)),
        migrations.RemoveConstraint("degreeentry", "degrees_entry_kind"),
        migrations.AlterField(
            "degreeentry", "kind", models.CharField(choices=[(kind, kind) for kind in KINDS], max_length=12)
        ),
        migrations.AddConstraint(
            "degreeentry",
            models.CheckConstraint(condition=models.Q(("kind__in", KINDS)), name="degrees_entry_kind"),
        ),
    ]
