"""Moving models between apps in migrations, where the rows stay in their tables.

The state of migrations loses the model in one app and gets it in another, with the same `db_table`
(docs/decisions/0037). What Django keeps by an app's label moves with it: content types, and by them
permissions and the admin's log.
"""

from typing import Any

from django.db.migrations import RunPython


def rename_content_types(source: str, target: str, *models: str) -> RunPython:
    """The content types of models that moved from one app to another; reverses.

    The migration depends on `("contenttypes", "0002_remove_content_type_name")`.
    """

    def rename(apps: Any, alias: str, before: str, after: str) -> None:
        rows = apps.get_model("contenttypes", "ContentType").objects.using(alias)
        taken = rows.filter(app_label=after, model__in=models).values_list("model", flat=True)
        rows.filter(app_label=before, model__in=set(models) - set(taken)).update(app_label=after)

    def forwards(apps: Any, editor: Any) -> None:
        rename(apps, editor.connection.alias, source, target)

    def backwards(apps: Any, editor: Any) -> None:
        rename(apps, editor.connection.alias, target, source)

    return RunPython(forwards, backwards)
