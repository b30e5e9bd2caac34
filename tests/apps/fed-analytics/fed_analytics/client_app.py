"""Answers questions about the patients of one database."""

import sqlite3

import numpy as np
from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

app = ClientApp()


def values_of(feature: str, context: Context) -> np.ndarray:
    """Read a column of the patients' table, without empty cells."""
    connection = sqlite3.connect(context.node_config["db-path"])
    try:
        rows = connection.execute(f"SELECT {feature} FROM patients WHERE {feature} IS NOT NULL").fetchall()  # noqa: S608
    finally:
        connection.close()
    return np.array([value for (value,) in rows], dtype=float)


@app.query("ranges")
def ranges(msg: Message, context: Context) -> Message:
    """Say between which values each feature lies."""
    results = {}
    for feature in str(context.run_config["features"]).split(","):
        values = values_of(feature, context)
        results[f"{feature}_min"] = float(values.min())
        results[f"{feature}_max"] = float(values.max())
    return Message(RecordDict({"query_results": MetricRecord(results)}), reply_to=msg)


@app.query("histograms")
def histograms(msg: Message, context: Context) -> Message:
    """Count each feature's values in the bins that the server asks for."""
    edges = msg.content["edges"]
    results = {}
    for feature in str(context.run_config["features"]).split(","):
        counts, _ = np.histogram(values_of(feature, context), bins=edges[feature])
        results[f"{feature}_hist"] = counts.tolist()
    return Message(RecordDict({"query_results": MetricRecord(results)}), reply_to=msg)
