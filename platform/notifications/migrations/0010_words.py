"""What a notification says is kept as a sentence with its places; those of before are shown as they are."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("notifications", "0009_runs_and_sites")]

    operations = [
        migrations.AlterField(
            model_name="notification",
            name="subject",
            field=models.CharField(help_text="What it says, in English, as programs read it", max_length=300),
        ),
        migrations.AddField(
            model_name="notification",
            name="words",
            field=models.CharField(
                default="", help_text="The sentence with its places, which pages translate", max_length=300
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="facts",
            field=models.JSONField(default=dict, help_text="What stands in the places, by name"),
        ),
    ]
