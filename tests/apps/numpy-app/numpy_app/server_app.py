"""Gradient descent over all nodes: a count, steps, and a test."""

import numpy as np
from flwr.app import ArrayRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train for some rounds, then test once."""
    nodes = list(grid.get_node_ids())
    sizes = send(grid, nodes, "query", RecordDict())
    rows = sum(reply.content["size"]["rows"] for reply in sizes)
    weights = np.zeros(5)
    for _ in range(int(context.run_config["num-server-rounds"])):
        replies = send(grid, nodes, "train", RecordDict({"weights": ArrayRecord([weights])}))
        gradients = [reply.content["gradient"].to_numpy_ndarrays()[0] for reply in replies]
        weights = weights - float(context.run_config["learning-rate"]) * np.sum(gradients, axis=0) / rows
    scores = [
        reply.content["score"]
        for reply in send(grid, nodes, "evaluate", RecordDict({"weights": ArrayRecord([weights])}))
    ]
    accuracy = sum(score["right"] for score in scores) / sum(score["num-examples"] for score in scores)
    print(f"accuracy: {accuracy}")
    np.savez("final_model.npz", weights=weights)


def send(grid: Grid, nodes: list, message_type: str, content: RecordDict) -> list:
    """Push the messages, pull until all replies are there."""
    ids = list(grid.push_messages([Message(content, node, message_type) for node in nodes]))
    replies: list = []
    while len(replies) < len(ids):
        replies.extend(grid.pull_messages(ids))
    return replies
