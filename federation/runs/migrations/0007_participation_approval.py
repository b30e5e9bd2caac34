import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import OuterRef, Subquery


def fill(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """What was asked before is taken to stand on the approval that the run stands on now."""
    approvals = apps.get_model("runs", "Participant").objects.filter(pk=OuterRef("participant")).values("approval")
    apps.get_model("runs", "Participation").objects.update(approval=Subquery(approvals[:1]))


class Migration(migrations.Migration):
    dependencies = [
        ("runs", "0006_roles"),
        ("scripts", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="participation",
            name="approval",
            field=models.ForeignKey(
                help_text="Under which it was asked",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="scripts.approval",
            ),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
