from django.db import migrations, models


def remember_seeds(apps, schema_editor):
    """Comparisons of before had one seed: that of their runs."""
    for comparison in apps.get_model("degrees", "DegreeComparison").objects.prefetch_related("entries__run"):
        entries = list(comparison.entries.all())
        for entry in entries:
            seed = entry.run.config.get("seed")
            entry.seed = seed if isinstance(seed, int) and not isinstance(seed, bool) else None
            entry.save(update_fields=["seed"])
        comparison.seeds = list(dict.fromkeys(entry.seed for entry in entries if entry.seed is not None))
        comparison.save(update_fields=["seeds"])


class Migration(migrations.Migration):
    dependencies = [("degrees", "0001_initial")]

    operations = [
        migrations.AddField("degreecomparison", "seeds", models.JSONField(default=list)),
        migrations.AddField("degreeentry", "seed", models.BigIntegerField(blank=True, null=True)),
        migrations.RunPython(remember_seeds, migrations.RunPython.noop),
    ]
