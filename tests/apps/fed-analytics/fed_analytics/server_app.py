"""Asks all nodes for ranges, then for histograms over the common range."""

import json

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run both queries and write what they give."""
    features = str(context.run_config["features"]).split(",")
    found = ask(grid, "query.ranges", RecordDict())
    edges = {}
    for feature in features:
        low = min(answer[f"{feature}_min"] for answer in found)
        high = max(answer[f"{feature}_max"] for answer in found)
        edges[feature] = np.linspace(low, high, int(context.run_config["bins"]) + 1).tolist()
    counted = ask(grid, "query.histograms", RecordDict({"edges": ConfigRecord(edges)}))
    result = {
        feature: {
            "edges": edges[feature],
            "counts": np.sum([answer[f"{feature}_hist"] for answer in counted], axis=0).tolist(),
        }
        for feature in features
    }
    with open("histograms.json", "w") as file:
        json.dump(result, file)


def ask(grid: Grid, message_type: str, content: RecordDict) -> list:
    """Send one message to every node and collect the good answers."""
    messages = [Message(content, node_id, message_type) for node_id in grid.get_node_ids()]
    replies = grid.send_and_receive(messages, timeout=60)
    return [reply.content["query_results"] for reply in replies if reply.has_content()]
