"""strategyexample: A Flower / NumPy app."""

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from strategyexample.task import load_data
from strategyexample.task import test as test_fn
from strategyexample.task import train as train_fn

# Flower ClientApp
app = ClientApp()


def own_data(context: Context):
    return load_data(context.node_config["partition-id"], context.node_config["num-partitions"])


def received(msg: Message):
    return {name: array.numpy() for name, array in msg.content["arrays"].items()}


def to_record(model):
    return ArrayRecord({name: Array(array) for name, array in model.items()})


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    first = len(context.state) == 0
    before = 0 if first else context.state["history"]["rounds"]
    (x, y), _ = own_data(context)
    model, loss = train_fn(received(msg), x, y, msg.content["config"]["lr"])

    # What this client remembers, in place of what it did
    context.state = RecordDict({"history": MetricRecord({"rounds": before + 1})})

    metrics = {"num-examples": len(y), "train_loss": loss, "rounds": before + 1}
    content = RecordDict({"arrays": to_record(model), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on local data."""
    model = received(msg)
    _, (x, y) = own_data(context)
    loss, accuracy = test_fn(model, x, y)
    metrics = MetricRecord({"num-examples": len(y), "eval_loss": loss, "eval_acc": accuracy})
    content = RecordDict({"arrays": to_record(model), "metrics": metrics})
    return Message(content=content, reply_to=msg)
